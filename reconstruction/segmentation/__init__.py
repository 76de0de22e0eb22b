"""Segmentation of a phase image into objects, and scores of a segmentation."""
