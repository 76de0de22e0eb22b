"""Engines that run torch on an NVIDIA GPU."""
