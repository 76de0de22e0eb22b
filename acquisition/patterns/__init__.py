"""Sources of phase patterns: images, test targets, Zernike modes, simulated cells."""
