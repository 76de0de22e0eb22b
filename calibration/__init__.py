"""Measuring the instrument: devices, registration, and the fibre."""
