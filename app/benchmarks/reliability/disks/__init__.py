"""The part of the benchmark that runs commands on a small disk that fills while they write."""

from app.benchmarks.reliability.disks.campaign import measure

__all__ = ["measure"]
