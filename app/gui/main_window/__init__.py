"""The operator's main window and what stands in it."""
