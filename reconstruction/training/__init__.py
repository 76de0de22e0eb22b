"""The training loop, its checkpoints, validation and distribution."""
