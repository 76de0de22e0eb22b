"""Draws one picture with its colours, marks and outlines: in software, or by a shader on the graphics card."""
