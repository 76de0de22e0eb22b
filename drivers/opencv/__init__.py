"""USB video cameras through OpenCV."""
