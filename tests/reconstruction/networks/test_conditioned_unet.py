"""The conditioned U-Net: zero before training, as large as its input, and dependent on angle and conditions."""

from __future__ import annotations

import torch

from reconstruction.networks.conditioned_unet import ConditionedUNet

MAPS, CONDITIONS = torch.randn((2, 3, 16, 16)), torch.randn((2, 5, 8, 8))
ANGLE = torch.tensor([0.3])


def network() -> ConditionedUNet:
    torch.manual_seed(0)
    return ConditionedUNet(3, 2, (8, 12, 16), conditions=5).eval()


def test_before_training_the_output_is_zero_on_the_whole_grid() -> None:
    output, last = network()(MAPS, ANGLE, CONDITIONS)
    assert output.shape == (2, 2, 16, 16)
    assert last.shape == (2, 8, 8, 8)
    assert not output.any()


def test_angle_and_conditions_change_the_output() -> None:
    unet = network()
    torch.nn.init.normal_(unet.head.weight)
    with torch.inference_mode():
        first = unet(MAPS, ANGLE, CONDITIONS)[0]
        assert not torch.allclose(first, unet(MAPS, ANGLE + 0.5, CONDITIONS)[0])
        assert not torch.allclose(first, unet(MAPS, ANGLE, CONDITIONS + 0.5)[0])
        assert torch.allclose(first, unet(MAPS, ANGLE.expand(2), CONDITIONS)[0], atol=1e-6)
