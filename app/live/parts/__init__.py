"""The parts that a session is made of; each owns one thing and is tested without a session."""
