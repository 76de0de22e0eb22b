"""Model folders, the registry of model kinds, and what every reconstructor must do."""
