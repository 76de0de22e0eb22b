"""The player: one or two recordings or datasets as they were recorded, with their true times, and results beside the first."""
