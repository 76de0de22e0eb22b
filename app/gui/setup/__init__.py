"""The setup page: choose camera and SLM, see them live, and write the instrument file."""
