"""Exports as the window and the command order them: what is exported, how large it is, whether it fits, and the work."""
