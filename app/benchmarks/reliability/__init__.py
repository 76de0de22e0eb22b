"""The reliability benchmark: kills, full disks, power cuts, flipped bits, hostile files; it counts what is lost or let in."""
