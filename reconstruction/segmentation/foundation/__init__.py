"""Segmenters with networks that others trained, Segment Anything and Cellpose, from weights in a local folder."""
