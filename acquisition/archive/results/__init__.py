"""Results: those computed later from a recording, which lie beside what was recorded, and the disc of the fibre."""
