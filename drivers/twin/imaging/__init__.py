"""Instruments that form an image: a colour camera out of focus, fluorescence microscopes, light through a diffuser."""
