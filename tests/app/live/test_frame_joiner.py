"""Joining frames with their reconstructions: nothing lost, nothing swapped, in order, whatever inference does."""

from __future__ import annotations

import enum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.archive.recorder import RecordItem
from acquisition.streams.channel import Channel, ChannelOverflowError, Overflow
from app.live.frame_joiner import NOT_RECONSTRUCTED, FrameJoiner
from app.status import LiveView, Overlay
from drivers.base import Frame
from reconstruction.base import Reconstruction

FRAME_NS = 10_000_000


def frame(index: int) -> Frame:
    return Frame(np.full((4, 4), index % 256, np.uint8), index, index * FRAME_NS, 0.01)


def view(index: int) -> LiveView:
    reconstruction = Reconstruction(
        phase_rad=np.full((2, 2), index, np.float32),
        frame_index=index,
        latency_s=0.01,
        inference_s=0.005,
        model_id="model",
        engine="torch fp32",
    )
    return LiveView(frame(index), reconstruction)


def overlay(index: int) -> Overlay:
    return Overlay(view(index), np.full((2, 2), index, np.uint16), 0.001)


def joiner(capacity: int = 1000, patience_frames: int = 200) -> tuple[FrameJoiner, Channel[RecordItem]]:
    channel: Channel[RecordItem] = Channel("record", capacity, Overflow.FAIL)
    return FrameJoiner(channel, 2, patience_frames * FRAME_NS * 1e-9), channel


class Done(enum.Enum):
    """How far the stages come with a frame."""

    FRAME = 0
    VIEW = 1
    OVERLAY = 2
    OVERLAY_BEFORE_VIEW = 3


@given(st.lists(st.sampled_from(Done), min_size=1, max_size=60), st.integers(1, 5), st.integers(0, 5))
def test_every_frame_is_recorded_once_in_order_with_its_own_phase_and_labels(done: list[Done], lag: int, more: int) -> None:
    join, channel = joiner()
    for index in range(len(done) + lag + more):
        if index < len(done):
            join.put_frame(frame(index))
        viewed, segmented = index - lag, index - lag - more
        if 0 <= segmented < len(done) and done[segmented] is Done.OVERLAY_BEFORE_VIEW and not more:
            join.put_overlay(overlay(segmented))
        if 0 <= viewed < len(done) and done[viewed] is not Done.FRAME:
            join.put_view(view(viewed))
        if 0 <= segmented < len(done) and done[segmented] in (Done.OVERLAY, Done.OVERLAY_BEFORE_VIEW):
            join.put_overlay(overlay(segmented))
    join.finish()
    items = list(channel)
    assert [item.frame.index for item in items] == list(range(len(done)))
    for item, how in zip(items, done, strict=True):
        assert (item.engine == NOT_RECONSTRUCTED) == (not item.reconstructed) == (how is Done.FRAME)
        assert np.isnan(item.phase_rad).all() if how is Done.FRAME else (item.phase_rad == item.frame.index).all()
        assert item.segmented == (how in (Done.OVERLAY, Done.OVERLAY_BEFORE_VIEW))
        assert item.labels is not None
        assert (item.labels == (item.frame.index if item.segmented else 0)).all()


def test_a_frame_without_a_model_does_not_wait() -> None:
    join, channel = joiner()
    for index in range(3):
        join.put_frame(frame(index))
        join.put_view(LiveView(frame(index), None))
    assert channel.accepted == 3
    join.finish()
    assert not any(item.reconstructed or item.segmented for item in channel)


def test_a_segmentation_that_takes_a_second_loses_no_frame_and_keeps_its_own_labels() -> None:
    join, channel = joiner(patience_frames=20)
    for index in range(100):
        join.put_frame(frame(index))
        join.put_view(view(index))
        if index % 10 == 9 and index > 10:  # the labels of one frame in ten, ten frames later
            join.put_overlay(overlay(index - 10))
        assert index - channel.accepted <= 20
    join.finish()
    items = list(channel)
    assert [item.frame.index for item in items] == list(range(100))
    assert all(item.reconstructed for item in items)
    assert [item.frame.index for item in items if item.segmented] == list(range(9, 90, 10))


def test_a_dead_segmentation_holds_back_no_more_than_the_patience() -> None:
    join, channel = joiner(patience_frames=5)
    for index in range(20):
        join.put_frame(frame(index))
        join.put_view(view(index))
    assert channel.accepted == 14
    join.finish()
    assert [(item.frame.index, item.reconstructed, item.segmented) for item in channel] == [
        (index, True, False) for index in range(20)
    ]


def test_frames_that_wait_use_no_more_than_their_share_of_memory() -> None:
    join, channel = joiner(patience_frames=10**6)
    large = np.zeros((2048, 2048), np.uint16)
    for index in range(40):
        join.put_frame(Frame(large, index, index, 0.01))
    assert channel.accepted == 40 - 256 // 8


def test_a_dead_inference_holds_back_no_more_than_the_patience() -> None:
    join, channel = joiner(patience_frames=5)
    for index in range(20):
        join.put_frame(frame(index))
    assert channel.accepted == 14
    join.finish()
    assert [item.frame.index for item in channel] == list(range(20))


def test_reconstructions_of_frames_before_the_recording_are_ignored() -> None:
    join, channel = joiner()
    join.put_view(view(300))  # of the last time the camera ran
    join.put_frame(frame(4))
    join.put_overlay(overlay(3))
    join.put_view(view(3))
    join.put_view(view(4))
    join.finish()
    assert [item.engine for item in channel] == ["torch fp32"]


def test_a_full_queue_ends_the_recording_with_what_it_holds() -> None:
    join, channel = joiner(capacity=3, patience_frames=1)
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
    join.put_view(view(1))
    join.put_overlay(overlay(1))
    assert [item.frame.index for item in channel] == [0]
