"""Adapters for the cameras and SLMs of slmsuite."""
