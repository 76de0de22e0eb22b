"""Reconstruction of live frames, by a model or by reference pairs."""
