"""The instrument file, and the devices that it names."""
