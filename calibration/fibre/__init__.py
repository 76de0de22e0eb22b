"""Calibrations of the fibre: its second-order statistics, its reference and its complex response."""
