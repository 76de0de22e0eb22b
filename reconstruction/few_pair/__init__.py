"""Reconstruction of phase from a few reference pairs of the same session, without training."""
