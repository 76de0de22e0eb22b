"""Neural networks: U-Nets of several kinds, and the linear maps and the piston estimate that some of them contain."""
