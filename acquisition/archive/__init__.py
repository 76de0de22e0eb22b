"""Archives on disk: writing acknowledged rows, reading them back, recording a live stream."""
