"""Cameras that repeat recorded frames or a video file."""
