"""Synthetic cells with true labels: tissue as a pattern, and cells that move."""
