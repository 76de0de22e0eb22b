"""Calibrations of the camera and the SLM: exposure, noise, phase look-up table, timing."""
