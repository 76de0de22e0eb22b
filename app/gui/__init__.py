"""The Qt window. Nothing outside this folder imports Qt."""
