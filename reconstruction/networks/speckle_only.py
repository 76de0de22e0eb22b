"""The published direct networks: phase from the speckle alone, averaged to the grid, without reference or calibration.

``unet`` is the baseline of the SpecDiffusion paper, ``resunet`` is the network of the calibration-free multi-core-fibre paper:
the same U-Net with residual blocks. The papers do not state the widths. Here both networks have the widths and the loss of
:class:`~reconstruction.networks.referenced_unet.ReferencedUNet`, so the methods of a comparison differ only in the networks'
inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from reconstruction.data.batch import Batch
from reconstruction.models.base import NetworkConfig, Reconstructor
from reconstruction.models.losses import phase_loss
from reconstruction.networks.step_unet import conv_block


@dataclass(frozen=True)
class SpeckleOnlyConfig(NetworkConfig):
    """Widths of the network.

    Parameters
    ----------
    base_channels, multipliers : int, tuple of int
        The channels of every grid, from the finest, are ``base_channels`` times the multipliers.
    """

    base_channels: int = 24
    multipliers: tuple[int, ...] = (1, 2, 4, 8)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.grid_px % 2 ** (len(self.multipliers) - 1):
            raise ValueError(f"grid_px {self.grid_px} cannot be halved {len(self.multipliers) - 1} times")


def shrunk_speckle(frame: torch.Tensor, grid_px: int) -> torch.Tensor:
    """Average counts (b, 1, H, W) to the grid, (b, 1, grid, grid), as the published codes do.

    The published codes scale 8-bit counts to -1..1. Counts in general have no such bounds and change with exposure and laser
    power. Here they are divided by the mean of the frame, and 1 is subtracted.
    """
    cells = F.avg_pool2d(frame.float(), frame.shape[-1] // grid_px)
    return cells / (cells.mean((2, 3), keepdim=True) + 1e-6) - 1


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions whose input is added to their output (He et al., CVPR 2016)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*list(conv_block(channels_in, channels_out))[:-1])
        self.skip = nn.Conv2d(channels_in, channels_out, 1, bias=False) if channels_in != channels_out else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to (b, channels_in, h, w)."""
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
        """Reconstruct; the reference is not used."""
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
        """Return absolute error and structural similarity, see :func:`reconstruction.models.losses.phase_loss`."""
        phase = self(batch.frames, batch.reference)
        return phase_loss(phase, batch.phase_rad, self.inside, self.config.phase_range_rad)


class SpeckleResUNet(SpeckleUNet):
    """U-Net with residual blocks."""

    kind: ClassVar[str] = "resunet"

    def _block(self, channels_in: int, channels_out: int) -> nn.Module:
        return ResidualBlock(channels_in, channels_out)
