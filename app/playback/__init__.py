"""Playing a recording or a dataset as it was recorded: its true times, its frames with their results, and where it is."""
