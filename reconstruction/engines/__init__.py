"""Inference engines: which run here, which is the fastest, and whether it is right."""
