"""A small U-Net at half the grid, with two kinds of conditions: maps of a frame that stay, and the angle of a noisy picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

#: Cosines and sines of multiples of the angle.
_HARMONICS = 4
ANGLE_FEATURES = 2 * _HARMONICS


def angle_features(angle: torch.Tensor) -> torch.Tensor:
    """Return cosines and sines of an angle between 0 and pi / 2 and its multiples; (b,) to (b, ANGLE_FEATURES)."""
    angles = angle.float()[:, None] * torch.arange(1, _HARMONICS + 1, device=angle.device)
    return torch.cat([angles.cos(), angles.sin()], 1)


class ConditionedUNet(nn.Module):
    """U-Net (Ronneberger et al., MICCAI 2015) of residual blocks, from maps (b, channels_in, h, w) to as large maps.

    The maps are folded into channels at half the side first, and unfolded at the end: most of the work is done on a quarter of
    the pixels. The last layer is 0 before training.

    Parameters
    ----------
    channels_in, channels_out : int
        Number of maps of input and output, on the whole grid.
    widths : tuple of int
        Channels at half the side, at a quarter, and so on.
    conditions : int
        Number of maps at half the side that are added to the input.
    """

    def __init__(self, channels_in: int, channels_out: int, widths: tuple[int, ...], conditions: int = 0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4 * channels_in + conditions, widths[0], 1, bias=False)
        self.angle = nn.Sequential(nn.Linear(ANGLE_FEATURES, widths[0]), nn.SiLU())
        before = (widths[0], *widths[:-1])
        self.down = nn.ModuleList(_Block(one, two, widths[0]) for one, two in zip(before, widths, strict=True))
        upward = range(len(widths) - 2, -1, -1)
        self.lift = nn.ModuleList(nn.Conv2d(widths[number + 1], widths[number], 1, bias=False) for number in upward)
        self.up = nn.ModuleList(_Block(widths[number], widths[number], widths[0]) for number in upward)
        self.head = nn.Conv2d(widths[0], 4 * channels_out, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(
        self, maps: torch.Tensor, angle: torch.Tensor, conditions: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Evaluate the network.

        Parameters
        ----------
        maps : tensor, shape (b, channels_in, h, w)
            The input.
        angle : tensor, shape (b,) or (1,)
            Angle of the noisy picture, from 0 to pi / 2.
        conditions : tensor, shape (b, conditions, h / 2, w / 2), optional
            Maps that are the same for every angle.

        Returns
        -------
        output : tensor of float32, shape (b, channels_out, h, w)
            The output.
        last : tensor, shape (b, widths[0], h / 2, w / 2)
            The maps before the last layer.
        """
        folded = F.pixel_unshuffle(maps, 2)
        x = self.stem(folded if conditions is None else torch.cat([folded, conditions], 1))
        level = self.angle(angle_features(angle))
        kept = []
        for number, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if number else x, level)
            kept.append(x)
        kept.pop()
        for lift, block in zip(self.lift, self.up, strict=True):
            x = block(F.interpolate(lift(x), scale_factor=2, mode="nearest") + kept.pop(), level)
        return F.pixel_shuffle(self.head(x).float(), 2), x


class _Block(nn.Module):
    """Two convolutions with a bias that depends on the angle between them, and a way around both."""

    def __init__(self, channels_in: int, channels_out: int, features: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm_one = nn.BatchNorm2d(channels_out)
        self.bias = nn.Linear(features, channels_out)
        self.two = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm_two = nn.BatchNorm2d(channels_out)
        self.around = nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1, bias=False)

    def forward(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        inner = F.relu(self.norm_one(self.one(x)) + self.bias(level)[:, :, None, None])
        return F.relu(self.around(x) + self.norm_two(self.two(inner)))
