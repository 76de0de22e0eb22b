"""Where a pattern lies on the camera."""
