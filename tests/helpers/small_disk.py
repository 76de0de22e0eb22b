"""A disk that is full: files of this process cannot grow beyond a size."""

from app.benchmarks.reliability.disks.small_disk import file_size_limit as small_disk

__all__ = ["small_disk"]
