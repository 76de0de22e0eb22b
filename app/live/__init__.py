"""The live session: capture, inference, recording and status, wired together."""
