"""The setup window: choose the camera and the SLM, see them live, write the instrument file."""
