"""Running a calibration on the instrument, and its report."""
