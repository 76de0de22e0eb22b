"""The published direct networks: phase from the speckle alone, shrunk to the grid, without reference or calibration.

``unet`` is the baseline of the SpecDiffusion paper, ``resunet`` the network of the calibration-free multi-core-fibre paper: the
same U with residual blocks. Both papers leave widths open; here both have those of :class:`ReferencedUNet`'s, and its loss, so
that rows of a table differ in what the networks see and in nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from reconstruction.data.batch import Batch
from reconstruction.models.losses import phase_loss
from reconstruction.models.reconstructor import NetworkConfig, Reconstructor
from reconstruction.networks.step_unet import conv_block


@dataclass(frozen=True)
class SpeckleOnlyConfig(NetworkConfig):
    """Widths of the levels."""

    base_channels: int = 24
    multipliers: tuple[int, ...] = (1, 2, 4, 8)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.grid_px % 2 ** (len(self.multipliers) - 1):
            raise ValueError(f"grid_px {self.grid_px} cannot be halved {len(self.multipliers) - 1} times")


def shrunk_speckle(frame: torch.Tensor, grid_px: int) -> torch.Tensor:
    """Speckle as the published codes see it: (b, 1, H, W) counts averaged to the grid, (b, 1, grid, grid).

    Those scale 8-bit counts to -1..1. Counts have no such bounds and change with exposure and power: here the mean of the frame
    is the unit, and taken off.
    """
    cells = F.avg_pool2d(frame.float(), frame.shape[-1] // grid_px)
    return cells / (cells.mean((2, 3), keepdim=True) + 1e-6) - 1


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around which the input passes (He et al., CVPR 2016)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*list(conv_block(channels_in, channels_out))[:-1])
        self.skip = nn.Conv2d(channels_in, channels_out, 1, bias=False) if channels_in != channels_out else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply."""
        return F.relu(self.body(x) + self.skip(x))


class SpeckleUNet(Reconstructor):
    """U-Net (Ronneberger et al., MICCAI 2015)."""

    kind: ClassVar[str] = "unet"
    config: SpeckleOnlyConfig

    def __init__(self, config: SpeckleOnlyConfig) -> None:
        super().__init__(config)
        widths = [config.base_channels * m for m in config.multipliers]
        self.down = nn.ModuleList(self._block(widths[level - 1] if level else 1, width) for level, width in enumerate(widths))
        upward = range(len(widths) - 1, 0, -1)
        self.up = nn.ModuleList(nn.ConvTranspose2d(widths[level], widths[level - 1], 2, stride=2) for level in upward)
        self.merge = nn.ModuleList(self._block(2 * widths[level - 1], widths[level - 1]) for level in upward)
        self.head = nn.Conv2d(widths[0], 1, 1)

    def _block(self, channels_in: int, channels_out: int) -> nn.Module:
        return conv_block(channels_in, channels_out)

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Reconstruct; the reference is not looked at."""
        x = shrunk_speckle(frame, self.config.grid_px)
        skips = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), skips.pop()], 1))
        return torch.as_tensor(self.head(x).float())

    def loss(self, batch: Batch) -> torch.Tensor:
        """Absolute error and structural similarity, see :func:`reconstruction.models.losses.phase_loss`."""
        phase = self(batch.frames, batch.reference)
        return phase_loss(phase, batch.phase_rad, self.inside, self.config.phase_range_rad)


class SpeckleResUNet(SpeckleUNet):
    """The same with residual blocks."""

    kind: ClassVar[str] = "resunet"

    def _block(self, channels_in: int, channels_out: int) -> nn.Module:
        return ResidualBlock(channels_in, channels_out)
