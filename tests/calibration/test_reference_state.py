"""The reference, the pairs and the response in force come back from a recording exactly, or are refused by name."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.references import ReferenceEntry, StoredReference, reference_entries, write_reference
from acquisition.archive.rows import StorageError
from calibration.fibre.response import FibreResponse
from calibration.reference_state import ReferenceState
from calibration.registration.affine import Registration
from calibration.retune import ReferencePairs
from drivers.twin.optics_config import OpticsConfig

SHAPE = (12, 12)


def response() -> FibreResponse:
    rng = np.random.default_rng(8)
    coupling = rng.normal(size=(1, 19, 7, 2)).astype(np.float32).view(np.complex64)[..., 0]
    return FibreResponse(
        config=OpticsConfig(image_px=64, field_radius_um=20.0),
        core_phase_rad=rng.random((1, 19), np.float32),
        core_gain=rng.random((1, 19), np.float32),
        coupling=coupling,
        background=3.5,
        probe_patterns=40,
        correlation=0.91,
    )


def pairs() -> ReferencePairs:
    rng = np.random.default_rng(9)
    matrix = np.array([[1.1, 0.02, 3.0], [-0.03, 0.9, -2.0]])
    return ReferencePairs(
        reference=rng.random(SHAPE, np.float32),
        frames=tuple(rng.integers(0, 4096, SHAPE, np.uint16) for _ in range(3)),
        phases_rad=tuple(rng.random(SHAPE, np.float32) for _ in range(3)),
        registration=Registration(matrix, (10, 10), SHAPE, 0.8, 0.2, 1.5),
        stability=0.93,
    )


def stored(root: Path, reference: StoredReference) -> ReferenceEntry:
    (entry,) = reference_entries(root, write_reference(root, 0, reference))
    return entry


def test_everything_in_force_comes_back_exactly(tmp_path: Path) -> None:
    state = ReferenceState(speckle=np.full(SHAPE, 7, np.float32), pairs=pairs(), response=response())
    again = ReferenceState.read(stored(tmp_path, state.stored(5)))
    assert again.speckle is not None
    assert np.array_equal(again.speckle, np.full(SHAPE, 7, np.float32))
    assert again.pairs is not None
    for name in ("reference", "frames", "phases_rad"):
        assert np.array_equal(getattr(again.pairs, name), getattr(pairs(), name))
    assert again.pairs.stability == 0.93
    assert np.array_equal(again.pairs.registration.matrix, pairs().registration.matrix)
    registration = again.pairs.registration
    assert (registration.pattern_shape, registration.camera_shape) == ((10, 10), SHAPE)
    assert (registration.correlation, registration.uncertainty_px, registration.locality_px) == (0.8, 0.2, 1.5)
    assert again.response is not None
    assert again.response.id == response().id
    for field in fields(FibreResponse):
        assert np.array_equal(getattr(again.response, field.name), getattr(response(), field.name)), field.name


@pytest.mark.parametrize("part", ["speckle", "pairs", "response"])
def test_each_part_may_be_all_that_there_is(tmp_path: Path, part: str) -> None:
    known = {"speckle": np.ones(SHAPE, np.float32), "pairs": pairs(), "response": response()}
    state = ReferenceState(**{part: known[part]})  # type: ignore[arg-type]
    assert state.known
    again = ReferenceState.read(stored(tmp_path, state.stored()))
    assert [name for name in known if getattr(again, name) is not None] == [part]
    assert not ReferenceState().known


@pytest.mark.parametrize(
    ("array", "value"),
    [
        ("speckle", np.full(SHAPE, np.nan, np.float32)),
        ("speckle", np.ones(SHAPE, np.float64)),
        ("pairs_phase_rad", np.ones((2, *SHAPE), np.float32)),
        ("pairs_registration_matrix", np.zeros((2, 3))),
        ("response_core_gain", np.ones(3, np.float32)),
    ],
)
def test_arrays_that_are_no_reference_are_refused(tmp_path: Path, array: str, value: np.ndarray) -> None:
    whole = ReferenceState(speckle=np.ones(SHAPE, np.float32), pairs=pairs(), response=response()).stored(0)
    changed = replace(whole, arrays={**whole.arrays, array: value})
    with pytest.raises(StorageError, match=r"000000 holds no complete reference .*; restore it from a copy"):
        ReferenceState.read(stored(tmp_path, changed))


@pytest.mark.parametrize("missing", ["pairs_reference", "pairs_registration_matrix", "response_coupling"])
def test_an_array_that_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    whole = ReferenceState(speckle=np.ones(SHAPE, np.float32), pairs=pairs(), response=response()).stored(0)
    arrays = {name: array for name, array in whole.arrays.items() if name != missing}
    with pytest.raises(StorageError, match=missing.removeprefix("response_")):
        ReferenceState.read(stored(tmp_path, replace(whole, arrays=arrays)))
