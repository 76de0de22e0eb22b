"""The Rig page: recent instruments, set-up, properties of the devices, checks of this computer, and drills."""
