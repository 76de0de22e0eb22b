"""Recorded frames and video files as cameras."""
