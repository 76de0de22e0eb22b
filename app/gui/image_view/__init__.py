"""Images on screen: panes, colormaps, overlays, annotations, level bars."""
