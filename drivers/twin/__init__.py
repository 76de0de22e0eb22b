"""The digital twin of the fibre, and the simulated camera and SLM around it."""
