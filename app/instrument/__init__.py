"""The instrument file, and opening the devices that it names."""
