"""Labelled cells as numbers: measurements of each cell, and identities that persist from frame to frame."""
