"""Phase holograms whose far field is a wanted image or focus."""
