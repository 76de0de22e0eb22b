"""Joining frames with their reconstructions: nothing lost, nothing swapped, in order, whatever inference does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.archive.recorder import RecordItem
from acquisition.streams.channel import Channel, ChannelOverflowError, Overflow
from app.live.frame_joiner import NOT_RECONSTRUCTED, FrameJoiner
from drivers.base import Frame
from reconstruction.base import Reconstruction


def frame(index: int) -> Frame:
    return Frame(np.full((4, 4), index % 256, np.uint8), index, index, 0.01)


def reconstruction(index: int) -> Reconstruction:
    return Reconstruction(
        phase_rad=np.full((2, 2), index, np.float32),
        frame_index=index,
        latency_s=0.01,
        inference_s=0.005,
        model_id="model",
        engine="torch fp32",
    )


def joiner(capacity: int = 1000, patience: int = 32) -> tuple[FrameJoiner, Channel[RecordItem]]:
    channel: Channel[RecordItem] = Channel("record", capacity, Overflow.FAIL)
    return FrameJoiner(channel, 2, patience), channel


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 5))
def test_every_frame_is_recorded_once_in_order_with_its_own_phase(skipped: list[bool], lag: int) -> None:
    join, channel = joiner()
    for index in range(len(skipped) + lag):
        if index < len(skipped):
            join.put_frame(frame(index))
        if index >= lag and not skipped[index - lag]:
            join.put_reconstruction(reconstruction(index - lag))
    join.finish()
    items = list(channel)
    assert [item.frame.index for item in items] == list(range(len(skipped)))
    for item, skip in zip(items, skipped, strict=True):
        assert (item.engine == NOT_RECONSTRUCTED) == skip
        assert np.isnan(item.phase_rad).all() if skip else (item.phase_rad == item.frame.index).all()


def test_a_dead_inference_holds_back_no_more_than_the_patience() -> None:
    join, channel = joiner(patience=5)
    for index in range(20):
        join.put_frame(frame(index))
    assert channel.accepted == 15
    join.finish()
    assert [item.frame.index for item in channel] == list(range(20))


def test_reconstructions_of_frames_before_the_recording_are_ignored() -> None:
    join, channel = joiner()
    join.put_reconstruction(reconstruction(3))
    join.put_frame(frame(4))
    join.put_reconstruction(reconstruction(3))
    join.put_reconstruction(reconstruction(4))
    join.finish()
    assert [item.engine for item in channel] == ["torch fp32"]


def test_a_full_queue_ends_the_recording_with_what_it_holds() -> None:
    join, channel = joiner(capacity=3, patience=1)
    for index in range(10):
        join.put_frame(frame(index))
    kept: list[int] = []
    with pytest.raises(ChannelOverflowError, match="record"):
        kept.extend(item.frame.index for item in channel)
    assert kept == [0, 1, 2]


def test_frames_after_the_end_are_not_recorded() -> None:
    join, channel = joiner()
    join.put_frame(frame(0))
    join.finish()
    join.put_frame(frame(1))
    join.put_reconstruction(reconstruction(1))
    assert [item.frame.index for item in channel] == [0]
