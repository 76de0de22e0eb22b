"""What every page of the window is, and what it gets from the window."""
