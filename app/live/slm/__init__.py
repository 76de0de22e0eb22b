"""What the SLM shows in the live view: the operator chooses it, the capture thread shows it."""
