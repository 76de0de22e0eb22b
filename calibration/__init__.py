"""Calibrations of the instrument: each acquires data from the rig and fits a typed result."""
