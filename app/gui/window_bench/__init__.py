"""Measures the real window in a process of its own: what is painted, how old it is, and how long the window stalls."""
