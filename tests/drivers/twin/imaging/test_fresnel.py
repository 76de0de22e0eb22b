"""Propagation agrees with the analytic diffraction of a slit, keeps all light, and can be undone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import fresnel

from drivers.twin.imaging.fresnel import mirrored, propagated, reach_px

WAVELENGTH_UM, PIXEL_UM = 0.5, 0.25


@pytest.mark.parametrize("distance_um", [40.0, 160.0, -40.0])
def test_a_slit_diffracts_as_its_fresnel_integrals_say(distance_um: float) -> None:
    """Goodman eq. 4-38, in one dimension."""
    width_px, side = 64, 2048
    x_um = (np.arange(side) - side / 2 + 0.5) * PIXEL_UM
    slit = torch.from_numpy((np.abs(x_um) < width_px * PIXEL_UM / 2).astype(np.complex128))[None].expand(4, side)
    seen = propagated(slit, distance_um, WAVELENGTH_UM, PIXEL_UM)[0].abs().square().numpy()
    scale = np.sqrt(2 / (WAVELENGTH_UM * abs(distance_um)))
    edges = [scale * (x_um + sign * width_px * PIXEL_UM / 2) for sign in (1, -1)]
    (s1, c1), (s2, c2) = (fresnel(edge) for edge in edges)
    expected = 0.5 * ((c1 - c2) ** 2 + (s1 - s2) ** 2)
    middle = np.abs(x_um) < 40
    assert np.sqrt(np.mean((seen - expected)[middle] ** 2)) < 0.02 * expected.max()


def test_light_is_kept_and_the_way_back_gives_the_field() -> None:
    field = torch.randn((2, 48, 64), dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    there = propagated(field, 700.0, WAVELENGTH_UM, PIXEL_UM)
    assert torch.allclose(there.abs().square().sum((1, 2)), field.abs().square().sum((1, 2)))
    assert torch.allclose(propagated(there, -700.0, WAVELENGTH_UM, PIXEL_UM), field, atol=1e-10)
    assert not torch.allclose(there.abs(), field.abs(), atol=0.1)


def test_mirrored_edges_add_what_light_needs() -> None:
    assert reach_px(3.0, 0.63, 0.21) == 22
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    wide = mirrored(image, 2)
    assert wide.shape == (1, 1, 7, 8)
    assert torch.equal(wide[0, 0, 2:5, 2:6], image[0, 0])
    assert torch.equal(wide[0, 0, 1], wide[0, 0, 3])
    assert mirrored(image, 50).shape == (1, 1, 7, 10), "an image is mirrored once at most"
