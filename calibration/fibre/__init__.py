"""Calibration of the fibre: its statistics, its complex response, its reference."""
