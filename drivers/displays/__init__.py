"""SLMs that are monitors, ours or slmPy's, and how phase becomes grey levels."""
