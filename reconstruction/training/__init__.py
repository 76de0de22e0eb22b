"""Training of everything learned: one loop, its checkpoints, its run folder, and several processes at once."""
