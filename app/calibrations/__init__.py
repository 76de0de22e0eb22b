"""Calibrations of the instrument, and their reports."""
