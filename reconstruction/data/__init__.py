"""Training data: pairs in memory, datasets on disk, simulated pairs."""
