"""Evaluation of methods on held-out images: scores, resolution, uncertainty intervals, and the baseline."""
