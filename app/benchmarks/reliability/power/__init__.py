"""The part of the benchmark that cuts the power at every point of a trace of real writes, syncs and renames."""

from app.benchmarks.reliability.power.campaign import measure

__all__ = ["measure"]
