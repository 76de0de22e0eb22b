"""Scores of models on held-out images: metrics, resolution, intervals, baselines."""
