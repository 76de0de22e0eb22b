"""Patterns, the capture plan, paired datasets, recorded sessions and their export."""
