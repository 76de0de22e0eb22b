"""Segmentation of a phase image into objects."""
