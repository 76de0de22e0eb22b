"""Benchmark of segmenters: synthetic cells and empty fields through twin, camera and model."""
