"""Acquisition of a dataset with the instrument, its audit, and its quality report."""
