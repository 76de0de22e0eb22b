"""What has a plug, and its digital twin: cameras, SLMs and the simulated optics."""
