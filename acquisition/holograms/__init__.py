"""Phase holograms that make a wanted image or focus in the far field."""
