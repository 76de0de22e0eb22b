"""Patterns, holograms, capture, archives of pairs and recordings, and their exchange with other programs."""
