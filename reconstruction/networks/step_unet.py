"""A small U-Net whose output is zero before training, for one step of a loop or the velocity of a flow."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def conv_block(channels_in: int, channels_out: int) -> nn.Sequential:
    """Return two 3 x 3 convolutions, each with batch norm, which engines fold into the convolution."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class StepUNet(nn.Module):
    """U-Net (Ronneberger et al., MICCAI 2015): (b, channels_in, h, w) -> (b, channels_out, h, w), 0 before training."""

    def __init__(self, channels_in: int, channels_out: int, base_channels: int, multipliers: tuple[int, ...]) -> None:
        super().__init__()
        widths = [base_channels * m for m in multipliers]
        self.norm = nn.BatchNorm2d(channels_in, affine=False)
        self.down = nn.ModuleList(
            conv_block(widths[level - 1] if level else channels_in, width) for level, width in enumerate(widths)
        )
        upward = range(len(widths) - 1, 0, -1)
        self.up = nn.ModuleList(nn.ConvTranspose2d(widths[level], widths[level - 1], 2, stride=2) for level in upward)
        self.merge = nn.ModuleList(conv_block(2 * widths[level - 1], widths[level - 1]) for level in upward)
        self.head = nn.Conv2d(widths[0], channels_out, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the network to (b, channels_in, h, w)."""
        x = self.norm(x)
        skips = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), skips.pop()], 1))
        return torch.as_tensor(self.head(x))
