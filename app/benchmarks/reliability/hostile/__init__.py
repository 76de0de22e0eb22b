"""Hostile inputs: links, views, bombs, programs and paths, each given to the reader or command that it is meant for."""

from app.benchmarks.reliability.hostile.campaign import measure

__all__ = ["measure"]
