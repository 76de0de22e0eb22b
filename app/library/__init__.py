"""The archive as an operator sees it: entries with notes, search, names, trash, copies, what a crash left, and thumbnails."""
