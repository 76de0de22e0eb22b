"""Calibration of the devices: phase look-up table, timing, camera."""
