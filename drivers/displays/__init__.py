"""SLMs that are displays, and the conversion of phase to grey levels."""
