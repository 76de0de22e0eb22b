"""Basler cameras through pylon, and pylon's camera emulator."""
