"""Results that were computed later from a recording: they lie beside what was recorded, and never in its place."""
