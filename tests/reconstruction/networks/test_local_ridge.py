"""The linear maps reproduce a linear relation that they are fitted to, and the stored form equals the fitted one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import PairPool
from reconstruction.field import field_mask
from reconstruction.networks.local_ridge import (
    BLOCK_PX,
    WINDOW_PX,
    LocalRidge,
    amplitude_scale,
    phase_detail,
    slope_integral,
    window_order,
)

FRAME, GRID = 64, 16


def linear_pool(rng: np.random.Generator, count: int) -> tuple[PairPool, np.ndarray]:
    """Return pairs whose phase is, in every cell, a fixed combination of four amplitude changes beside it, and the changes."""
    reference = rng.uniform(20, 60, (FRAME, FRAME)).astype(np.float32)
    speckle = rng.uniform(10, 120, (count, FRAME, FRAME)).astype(np.uint8)
    change = np.sqrt(speckle * amplitude_scale(speckle)[:, None, None]) - np.sqrt(reference / reference.mean())
    weights = rng.normal(size=(4, GRID, GRID)).astype(np.float32)
    corners = np.stack([change[:, y::4, x::4] for y, x in ((0, 0), (1, 2), (2, 1), (3, 3))], 1)
    phase = (corners * weights).sum(1)
    pool = PairPool(speckle=speckle, phase_rad=phase.astype(np.float32), reference=reference, ready=count)
    return pool, change.astype(np.float32)


def fitted(pool: PairPool) -> LocalRidge:
    ridge = LocalRidge(FRAME, GRID, 1.5)
    ridge.fit(pool)
    return ridge


def explained(ridge: LocalRidge, pool: PairPool, change: np.ndarray) -> float:
    detail = np.stack([phase_detail(image, ridge.mask) for image in pool.phase_rad])
    with torch.inference_mode():
        output = ridge(torch.from_numpy(change)[:, None])[:, 0].numpy()
    return float(1 - ((detail - output) ** 2).sum() / (detail**2).sum())


def test_windows_have_the_same_order_of_pixels_in_fit_and_forward(rng: np.random.Generator) -> None:
    ridge = LocalRidge(FRAME, GRID, 1.5)
    probe_pattern = torch.zeros(ridge.side**2, WINDOW_PX**2, 8)
    order = window_order()
    # One output, equal in all blocks: the pixel 5 px right of and 3 px below the window's corner.
    probe_pattern[:, int(np.flatnonzero(order == 3 * WINDOW_PX + 5)[0]), 0] = 1
    ridge.dense_maps, ridge.dense_mix = probe_pattern, torch.zeros(ridge.side**2, 8, 18)
    ridge.dense_mix[:, 0, 0] = 1
    image = torch.from_numpy(rng.normal(size=(1, 1, FRAME, FRAME)).astype(np.float32))
    output = ridge(image)[0, 0]
    margin = (WINDOW_PX - BLOCK_PX) // 2
    assert output[4, 8] == image[0, 0, 16 - margin + 3, 32 - margin + 5]


def test_held_out_pairs_of_a_linear_world_are_explained(rng: np.random.Generator) -> None:
    pool, change = linear_pool(rng, 2600)
    train = PairPool(speckle=pool.speckle[:2500], phase_rad=pool.phase_rad[:2500], reference=pool.reference, ready=2500)
    held_out = PairPool(speckle=pool.speckle[2500:], phase_rad=pool.phase_rad[2500:], reference=pool.reference, ready=100)
    # Rank 8 keeps half of the 16 independent outputs. These must be correct.
    assert 0.5 < explained(fitted(train), held_out, change[2500:]) < 1


def test_what_is_stored_is_what_was_fitted(rng: np.random.Generator) -> None:
    pool, change = linear_pool(rng, 300)
    ridge = fitted(pool)
    again = LocalRidge(FRAME, GRID, 1.5)
    again.load_state_dict(ridge.state_dict())
    image = torch.from_numpy(change[:2])[:, None]
    assert torch.equal(ridge(image), again(image))
    assert ridge.codes.abs().max() == 127


def test_outside_the_field_the_output_is_zero(rng: np.random.Generator) -> None:
    pool, change = linear_pool(rng, 100)
    ridge = LocalRidge(FRAME, GRID, 0.5)
    ridge.fit(pool)
    output = ridge(torch.from_numpy(change[:1])[:, None])[0, 0]
    assert (output[0] == 0).all()
    assert output[8, 8] != 0


def test_a_constant_phase_has_no_detail() -> None:
    mask = field_mask(64, 0.9)
    detail = phase_detail(np.full((64, 64), 1.7, np.float32), mask)
    assert np.abs(detail).max() < 1e-5


def test_integrated_slopes_give_the_large_structures() -> None:
    side = 32
    places = np.flatnonzero(field_mask(side, 0.95))
    y, x = np.mgrid[:side, :side]
    phase = 0.02 * y**2 - 0.3 * x + 0.01 * x * y
    slopes = np.concatenate([(0.04 * y + 0.01 * x).ravel(), (0.01 * y - 0.3).ravel()])
    integrated = slopes @ slope_integral(places, side)
    error = integrated[places] - phase.ravel()[places]
    assert error.std() < 0.01 * phase.std()
    assert integrated[places].mean() == pytest.approx(0, abs=1e-3)


def test_too_few_pairs_and_sizes_that_do_not_divide_are_refused(rng: np.random.Generator) -> None:
    pool, _ = linear_pool(rng, 20)
    with pytest.raises(ReconstructionError, match="at least 64 pairs, got 20"):
        fitted(pool)
    with pytest.raises(ValueError, match="do not divide"):
        LocalRidge(100, 25, 1.0)
