"""The set-up form: camera and SLM are chosen, tried, and written into an instrument file."""
