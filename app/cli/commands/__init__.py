"""One file for each command; ``record`` shares the file of ``live``."""
