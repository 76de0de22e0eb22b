"""Acquiring a dataset with the instrument, auditing it, and its quality report."""
