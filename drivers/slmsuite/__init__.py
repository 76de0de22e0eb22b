"""Cameras and SLMs of slmsuite, through adapters."""
