"""The calibrated model: a few learned descent steps through the calibrated response of the fibre, and its training data."""
