"""Reconstruction through a calibrated fibre, learned: its own speckle model tells every step what is still wrong."""
