"""Live pictures: panes, colour maps, overlays, annotations and level bars."""
