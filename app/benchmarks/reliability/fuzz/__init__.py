"""Fuzzing: damaged and hostile versions of every file that the program reads, read in processes that may hang or die."""

from app.benchmarks.reliability.fuzz.campaign import measure, reproduce

__all__ = ["measure", "reproduce"]
