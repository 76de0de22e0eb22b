"""Few-step reconstruction through the calibrated response of the fibre."""
