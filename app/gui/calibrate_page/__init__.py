"""The page that calibrates the instrument: what was measured, whether it still holds, and what it changes."""
