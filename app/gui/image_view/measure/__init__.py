"""Measuring on the panes: drawing shapes, their numbers, plots over distance and time, and CSV files."""
