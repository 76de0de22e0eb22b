"""Drivers of cameras and SLMs, and the digital twin that simulates them."""
