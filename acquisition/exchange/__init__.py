"""Import of pairs and export of archives, in the formats that other programs read."""
