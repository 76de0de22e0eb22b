"""The contract of an engine: the docstrings of :class:`reconstruction.engines.base.Engine` as tests.

Inherit from :class:`EngineContract` and define the fixture ``subject``; ``test_engine_contract.py`` does so for every engine of
a machine. The tests compare the engine with the network itself, on the frames of the subject and with their own tolerances.
They do not use the engine check, so an error in the check does not hide an error in an engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from reconstruction.engines.base import Counts, Engine, Precision
from reconstruction.models.model import Model

#: Largest difference from torch of any pixel in full precision.
FP32_RAD = 1e-3
#: Largest root mean square difference from torch inside the fibre's disc in 16 bits.
REDUCED_RMS_RAD = 0.02


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One engine under test.

    Parameters
    ----------
    open : callable
        Opens the engine; every call returns a new one.
    engine : Engine
        An open engine. Tests share it, in any order.
    model : Model
        What the engine runs.
    precision : Precision
        Precision of the engine; not int8, whose phase may differ from that of torch.
    frames : list of ndarray, each (frame_px, frame_px)
        At least two frames of the model's fibre, in counts, with different phases.
    reference : ndarray of float32, shape (frame_px, frame_px)
        Their reference speckle.
    """

    open: Callable[[], Engine]
    engine: Engine
    model: Model
    precision: Precision
    frames: list[Counts]
    reference: NDArray[np.float32]

    def run(self, frame: Counts) -> NDArray[np.float32]:
        """Reconstruct a frame against the reference."""
        return self.engine.run(frame, self.reference)

    def torch_phase(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the network itself gives."""
        counts = (torch.from_numpy(np.array(image, np.float32))[None, None] for image in (frame, reference))
        with torch.inference_mode():
            return np.array(self.model.network(*counts)[0, 0].numpy())

    def assert_like_torch(self, phase: NDArray[np.float32], frame: Counts, reference: NDArray[np.float32]) -> None:
        """Compare a phase with that of the network."""
        difference = phase - self.torch_phase(frame, reference)
        if self.precision is Precision.FP32:
            assert np.abs(difference).max() <= FP32_RAD
        else:
            assert np.sqrt(np.square(difference[self.model.mask]).mean()) <= REDUCED_RMS_RAD


class EngineContract:
    """For every engine in fp32, fp16 or bf16."""

    def test_the_frames_can_tell_a_right_engine_from_a_wrong_one(self, subject: Subject) -> None:
        assert subject.precision is not Precision.INT8
        first, second = (subject.torch_phase(frame, subject.reference) for frame in subject.frames[:2])
        other = subject.torch_phase(subject.frames[0], self.other_reference(subject))
        for different in (second, other):
            assert np.abs(first - different).max() > 3 * FP32_RAD
            assert np.sqrt(np.square((first - different)[subject.model.mask]).mean()) > 3 * REDUCED_RMS_RAD

    def test_its_name_ends_with_its_precision(self, subject: Subject) -> None:
        assert subject.engine.name.split()[-1] == subject.precision

    def test_it_gives_the_phase_that_torch_gives(self, subject: Subject) -> None:
        for frame in subject.frames:
            phase = subject.run(frame)
            assert phase.shape == (subject.model.grid_px, subject.model.grid_px)
            assert phase.dtype == np.float32
            assert np.isfinite(phase).all()
            subject.assert_like_torch(phase, frame, subject.reference)

    def test_the_same_frame_gives_the_same_phase(self, subject: Subject) -> None:
        first = subject.run(subject.frames[0])
        subject.run(subject.frames[1])
        assert np.array_equal(subject.run(subject.frames[0]), first)

    def test_a_phase_stays_as_it_was_returned(self, subject: Subject) -> None:
        first = subject.run(subject.frames[0])
        copy = first.copy()
        second = subject.run(subject.frames[1])
        assert np.array_equal(first, copy)
        assert not np.shares_memory(first, second)

    def test_the_inputs_stay_as_they_were(self, subject: Subject) -> None:
        frame, reference = subject.frames[0].copy(), subject.reference.copy()
        subject.engine.run(frame, reference)
        assert np.array_equal(frame, subject.frames[0])
        assert np.array_equal(reference, subject.reference)

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_counts_of_every_type_mean_the_same(self, subject: Subject, dtype: type[np.unsignedinteger]) -> None:
        counts = np.minimum(subject.frames[0], 255).round().astype(dtype)
        assert np.array_equal(subject.run(counts), subject.run(counts.astype(np.float32)))

    def test_counts_beyond_15_bits_mean_the_same(self, subject: Subject) -> None:
        counts = np.full(subject.reference.shape, 40_000, np.uint16)
        counts[::2] = 30_000
        assert np.array_equal(subject.run(counts), subject.run(counts.astype(np.float32)))

    def test_a_new_reference_is_used_at_once(self, subject: Subject) -> None:
        frame, other = subject.frames[0], self.other_reference(subject)
        before = subject.run(frame)
        phase = subject.engine.run(frame, other)
        subject.assert_like_torch(phase, frame, other)
        assert np.array_equal(phase, subject.open().run(frame, other)), "the reference before it still has an effect"
        assert np.array_equal(subject.run(frame), before), "the first reference is not used again"

    @staticmethod
    def other_reference(subject: Subject) -> NDArray[np.float32]:
        """Return another reference speckle: the same one, turned by half a turn."""
        return np.ascontiguousarray(subject.reference[::-1, ::-1])
