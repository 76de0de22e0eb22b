"""Frames are read in a thread: the wanted one first, those that come next ahead, within a limit of memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from app.playback.frame_reader import FrameReader


@dataclass(frozen=True, eq=False)
class Read:
    position: int
    is_whole: bool = True
    nbytes: int = 100


class Disk:
    """Notes what is read; it stands still while it is told to."""

    def __init__(self) -> None:
        self.reads: list[int] = []
        self.broken: set[int] = set()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.arrived = threading.Semaphore(0)

    def load(self, position: int) -> Read:
        self.reads.append(position)
        assert self.may_go_on.wait(10)
        return Read(position, is_whole=position not in self.broken)

    def wake(self) -> None:
        self.arrived.release()

    def wait(self, reads: int) -> None:
        for _ in range(reads):
            assert self.arrived.acquire(timeout=10)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def reader(disk) -> Iterator[FrameReader[Read]]:
    reader: FrameReader[Read] = FrameReader(disk.wake, most_bytes=500)
    reader.use(disk.load)
    yield reader
    disk.may_go_on.set()
    reader.close()
    assert reader.stage.join(10)


def test_the_wanted_frame_comes_first_and_the_next_ones_are_read_ahead(reader, disk):
    reader.want((7, 8, 9))
    disk.wait(3)
    assert disk.reads == [7, 8, 9]
    assert [reader.get(position).position for position in (7, 8, 9)] == [7, 8, 9]
    assert reader.get(10) is None


def test_what_is_wanted_now_is_read_before_what_was_wanted_earlier(reader, disk):
    disk.may_go_on.clear()
    reader.want((0, 1, 2, 3))
    while not disk.reads:
        pass
    reader.want((50, 51))  # the operator drags the slider on while the disk still reads
    disk.may_go_on.set()
    disk.wait(3)
    assert disk.reads == [0, 50, 51]


def test_nothing_is_read_twice(reader, disk):
    reader.want((1, 2))
    disk.wait(2)
    reader.want((2, 1, 3))
    disk.wait(1)
    assert disk.reads == [1, 2, 3]


def test_the_oldest_frames_go_when_memory_is_full_and_wanted_ones_stay(reader, disk):
    reader.want(range(5))
    disk.wait(5)
    reader.get(0)  # used last
    reader.want((10, 11, 12))
    disk.wait(3)
    assert reader.get(0) is not None
    assert [reader.get(position) is None for position in (1, 2, 3)] == [True, True, True]
    reader.want(range(20, 30))
    disk.wait(10)
    assert all(reader.get(position) for position in range(20, 30))


def test_what_could_not_be_read_is_read_again_when_it_is_asked_for(reader, disk):
    disk.broken = {4}
    reader.want((4,))
    disk.wait(1)
    assert not reader.get(4).is_whole
    disk.broken = set()
    reader.want((4, 5))
    disk.wait(1)
    assert disk.reads == [4, 5]  # it is not read over and over
    reader.forget_broken()
    reader.want((4,))
    disk.wait(1)
    assert reader.get(4).is_whole


def test_frames_of_another_result_are_never_mixed_in(reader, disk):
    reader.want((1,))
    disk.wait(1)
    other = Disk()
    disk.may_go_on.clear()
    reader.want((2,))
    while disk.reads[-1] != 2:
        pass
    reader.use(other.load)  # while the frame of the first one is still being read
    assert reader.get(1) is None
    disk.may_go_on.set()
    reader.want((3,))
    disk.wait(1)
    assert reader.get(2) is None
    assert other.reads == [3]


def test_with_further_frames_of_the_same_recording_what_was_read_stays(reader, disk):
    disk.broken = {2}
    reader.want((1, 2))
    disk.wait(2)
    reader.use(disk.load, keep=True)
    assert reader.get(1) is not None
    assert reader.get(2) is None


def test_a_slow_disk_shows_how_far_it_is(reader, disk):
    reader.want((3, 4))
    disk.wait(2)
    assert reader.newest(2, 9).position == 4
    assert reader.newest(4, 9) is None
