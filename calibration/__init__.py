"""Calibrations of the instrument: its devices, the registration of pattern and camera, and the fibre."""
