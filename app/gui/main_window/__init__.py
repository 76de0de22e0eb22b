"""The operator's main window and its parts."""
