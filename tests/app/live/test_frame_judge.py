"""Every bad frame gets its mark, and a good frame none: static scenes, cameras without noise and looping replays among them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from app.live.frame_judge import FrameJudge
from drivers.base import Frame, FrameMark, TriggerMode
from drivers.clock import VirtualClock
from drivers.recorded.replay import ReplayCamera

SIDE = 128
REFERENCE = np.random.default_rng(1).exponential(36.0, (SIDE, SIDE)).astype(np.float32)
OTHER = np.random.default_rng(2).exponential(36.0, (SIDE, SIDE)).astype(np.float32)


def noisy(counts: NDArray[np.float32], index: int) -> Frame:
    noise = np.random.default_rng(1000 + index).normal(0, 1.5, counts.shape)
    return clean(counts + noise.astype(np.float32), index)


def clean(counts: NDArray[np.float32], index: int) -> Frame:
    return Frame(np.clip(counts, 0, 255).astype(np.uint8), index, index, 0.01)


def again(frame: Frame, index: int) -> Frame:
    return Frame(frame.pixels, index, index, 0.01)


def judge_with(shots: Iterable[Frame]) -> FrameJudge:
    judge = FrameJudge()
    shots = list(shots)
    for shot in shots:
        judge.add_reference_shot(judge(shot))
    judge.set_reference(np.mean([shot.pixels for shot in shots], axis=0, dtype=np.float32))
    return judge


@pytest.fixture
def judge() -> FrameJudge:
    return judge_with(noisy(REFERENCE, index) for index in range(4))


def test_a_static_scene_of_a_camera_with_noise_has_no_marks(judge: FrameJudge) -> None:
    assert judge.has_noise
    for index in range(4, 50):
        frame = judge(noisy(REFERENCE, index))
        assert (frame.marks, frame.readable) == ((), True)


@pytest.mark.parametrize(
    ("counts", "mark", "readable"),
    [
        (np.zeros_like(REFERENCE), FrameMark.DARK, False),
        (REFERENCE * 0.05 + 1, FrameMark.DARK, False),
        (REFERENCE * 2, FrameMark.SATURATED, True),
        (REFERENCE * 2000, FrameMark.SATURATED, False),
        (OTHER * 3, FrameMark.SATURATED, False),
        (OTHER, FrameMark.DECORRELATED, False),
        (REFERENCE + 0.3 * OTHER, None, True),
    ],
)
def test_pixels_give_marks(judge: FrameJudge, counts: NDArray[np.float32], mark: FrameMark | None, *, readable: bool) -> None:
    frame = judge(noisy(counts.astype(np.float32), 4))
    assert frame.marks == (() if mark is None else (mark,))
    assert frame.readable is readable
    assert judge(noisy(REFERENCE, 5)).marks == ()


def test_the_same_bytes_or_the_same_number_are_a_frozen_picture(judge: FrameJudge) -> None:
    first = noisy(REFERENCE, 4)
    assert judge(first).marks == ()
    frozen = judge(again(first, 5))
    assert (frozen.marks, frozen.readable) == ((FrameMark.FROZEN,), True)
    assert judge(noisy(REFERENCE, 6)).marks == ()
    assert judge(noisy(OTHER * 0 + REFERENCE, 6)).marks == (FrameMark.FROZEN,)
    judge.armed()
    assert judge(noisy(REFERENCE, 6)).marks == (FrameMark.FROZEN,), "the bytes are the same although the number is new"
    assert judge(noisy(REFERENCE, 7)).marks == ()
    judge.armed()
    assert judge(again(noisy(REFERENCE, 8), 7)).marks == (), "the camera counts from the start again"


def test_a_camera_without_noise_is_not_frozen_while_nothing_moves() -> None:
    judge = judge_with(clean(REFERENCE, index) for index in range(4))
    assert not judge.has_noise
    assert all(judge(clean(REFERENCE, index)).marks == () for index in range(4, 20))
    assert judge(clean(REFERENCE, 19)).marks == (FrameMark.FROZEN,)


def test_motion_in_a_film_without_noise_is_not_taken_for_noise() -> None:
    def film(index: int) -> Frame:
        counts = REFERENCE.copy()
        counts[10:40, index : index + 20] = 80
        return clean(counts, index)

    judge = judge_with(film(index) for index in range(4))
    assert not judge.has_noise
    assert judge(again(film(4), 4)).marks == ()
    assert judge(again(film(4), 5)).marks == ()


def test_one_reference_shot_does_not_show_the_noise() -> None:
    judge = judge_with([noisy(REFERENCE, 0)])
    assert not judge.has_noise
    assert judge(noisy(REFERENCE, 1)).marks == ()
    assert judge(again(noisy(REFERENCE, 1), 2)).marks == ()


@pytest.mark.parametrize("length", [1, 2, 7])
def test_a_replay_that_loops_is_not_frozen(length: int) -> None:
    camera = ReplayCamera([noisy(REFERENCE, index) for index in range(length)], 0.01, VirtualClock())
    camera.arm(TriggerMode.FREE_RUN)
    judge = judge_with(camera.read(1.0) for _ in range(4))
    assert judge.has_noise is (length > 1)
    assert all(judge(camera.read(1.0)).marks == () for _ in range(30))


def test_a_dark_reference_is_compared_with_nothing() -> None:
    judge = judge_with(clean(REFERENCE * 0, index) for index in range(2))
    assert judge(noisy(OTHER, 2)).marks == ()
    assert judge(noisy(OTHER * 0, 3)).marks == (FrameMark.DARK,)


def test_a_frame_of_12_bits_has_its_own_full_scale() -> None:
    def deep(counts: NDArray[np.float32], index: int, bit_depth: int = 12) -> Frame:
        return Frame(np.clip(counts * 16, 0, 4095).astype(np.uint16), index, index, 0.01, bit_depth)

    judge = judge_with(deep(REFERENCE, index) for index in range(2))
    assert judge(deep(REFERENCE, 2)).marks == ()
    assert judge(deep(REFERENCE * 2, 3)).marks == (FrameMark.SATURATED,)
    assert judge(deep(REFERENCE * 2, 4, bit_depth=16)).marks == ()
