"""Work in the background: one list of jobs, and what cannot run side by side."""
