"""The U-Net of SpecDiffusion and Palette: residual blocks modulated by a noise level or a time, attention on the coarsest grid.

Palette (Saharia et al., SIGGRAPH 2022) takes the network of Dhariwal and Nichol ("Diffusion models beat GANs on image
synthesis", NeurIPS 2021): group norm and SiLU before every convolution, FiLM (Perez et al., AAAI 2018) by an embedding of the
noise level after the second norm, and residual blocks that also halve and double the grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch
import torch.nn.functional as F
from torch import nn

#: From noise levels or times (b,) to features (b, EMBEDDING_FEATURES).
Embedding = Callable[[torch.Tensor], torch.Tensor]

EMBEDDING_FEATURES = 64
NORM_GROUPS = 32


def gamma_embedding(gamma: torch.Tensor) -> torch.Tensor:
    """Return cosines and sines of gamma itself as in SpecDiffusion, which hardly separates levels near 0; (b,) to (b, 64)."""
    half = EMBEDDING_FEATURES // 2
    rates = 10000 ** (-torch.arange(half, device=gamma.device, dtype=torch.float32) / half)
    angles = gamma.float()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], 1)


def log_snr_embedding(gamma: torch.Tensor) -> torch.Tensor:
    """Return cosines and sines of ln(gamma / (1 - gamma)), on which octaves of noise are equally spaced; (b,) to (b, 64)."""
    return gamma_embedding(torch.logit(gamma.float(), 1e-6))


def time_embedding(time: torch.Tensor) -> torch.Tensor:
    """Return cosines and sines of a time from 0 to 1, for flows; (b,) to (b, 64)."""
    return gamma_embedding(1000 * time)


class Norm(StrEnum):
    """How maps are normalized before each convolution."""

    #: Over groups of maps of one image, as published.
    GROUP = "group"
    #: Over one map of all images of a batch; an average of many batches replaces it after training. Residual blocks then start
    #: with random weights, not as the identity.
    BATCH = "batch"


@dataclass(frozen=True, kw_only=True)
class FilmUNetShape:
    """Widths and depths of the network; the defaults are those of SpecDiffusion.

    Parameters
    ----------
    base_channels, multipliers : int, tuple of int
        The channels of every grid, from the finest, are ``base_channels`` times these; each grid has half the side of the one
        before.
    residual_blocks : int
        Number of blocks on each grid on the way down; one more on the way up.
    dropout : float
        Dropout probability inside residual blocks.
    heads : int
        Heads of the attention, which only the coarsest grid has.
    norm : str
        A value of :class:`Norm`.

    Raises
    ------
    ValueError
        ``heads`` does not divide the number of channels of the coarsest grid, or there is no such norm.
    """

    base_channels: int = 64
    multipliers: tuple[int, ...] = (2, 4, 8)
    residual_blocks: int = 2
    dropout: float = 0.2
    heads: int = 16
    norm: str = Norm.GROUP.value

    def __post_init__(self) -> None:
        if self.norm not in list(Norm):
            raise ValueError(f"norm is one of {', '.join(Norm)}, got {self.norm!r}")
        if self.widths[-1] % self.heads:
            raise ValueError(f"{self.heads} heads cannot share {self.widths[-1]} channels; choose a divisor")

    @property
    def widths(self) -> list[int]:
        """Channels of every grid, from the finest."""
        return [self.base_channels * multiplier for multiplier in self.multipliers]


class FilmUNet(nn.Module):
    """U-Net of images and one level, which is a noise level or a time, per image.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of maps of the input (condition and state together) and of the output.
    shape : FilmUNetShape, optional
        Widths and depths.
    embedding : callable
        Features of the level: :func:`gamma_embedding`, :func:`log_snr_embedding` or :func:`time_embedding`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        shape: FilmUNetShape | None = None,
        embedding: Embedding = gamma_embedding,
    ) -> None:
        super().__init__()
        shape = shape or FilmUNetShape()
        widths, residual_blocks = shape.widths, shape.residual_blocks
        self.embedding = embedding
        features = 4 * shape.base_channels
        self.level = nn.Sequential(nn.Linear(EMBEDDING_FEATURES, features), nn.SiLU(), nn.Linear(features, features), nn.SiLU())

        def norm(channels: int) -> nn.Module:
            return _GroupNorm(channels) if shape.norm == Norm.GROUP else nn.BatchNorm2d(channels)

        def block(channels_in: int, channels_out: int, resize: nn.Module | None = None) -> _Residual:
            norms = norm(channels_in), norm(channels_out)
            return _Residual(channels_in, channels_out, features, shape.dropout, resize or nn.Identity(), norms)

        now = widths[0]
        self.stem = nn.Conv2d(in_channels, now, 3, padding=1)
        self.down, kept = nn.ModuleList(), [now]
        for number, width in enumerate(widths):
            for _ in range(residual_blocks):
                self.down.append(block(now, width))
                now = width
                kept.append(now)
            if number < len(widths) - 1:
                self.down.append(block(now, now, nn.AvgPool2d(2)))
                kept.append(now)
        self.middle_in = block(now, now)
        self.attention = _Attention(now, shape.heads, norm(now))
        self.middle_out = block(now, now)
        self.up = nn.ModuleList()
        for number, width in reversed(list(enumerate(widths))):
            for _ in range(residual_blocks + 1):
                self.up.append(block(now + kept.pop(), width))
                now = width
            if number:
                self.up.append(block(now, now, nn.Upsample(scale_factor=2)))
        self.head = nn.Sequential(norm(now), nn.SiLU(), _zeroed(nn.Conv2d(now, out_channels, 3, padding=1)))

    def forward(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Evaluate the network.

        Parameters
        ----------
        x : tensor, shape (b, in_channels, h, w)
            Condition and state; h and w can be halved once per multiplier except the first.
        level : tensor, shape (b,)
            Noise level or time of every image.

        Returns
        -------
        tensor of float32, shape (b, out_channels, h, w)
            Noise or velocity, as trained; all zeros before training.
        """
        features = self.level(self.embedding(level))
        x = self.stem(x)
        kept = [x]
        for block in self.down:
            x = block(x, features)
            kept.append(x)
        x = self.middle_out(self.attention(self.middle_in(x, features)), features)
        for block in self.up:
            upsamples = isinstance(block.resize, nn.Upsample)
            x = block(x if upsamples else torch.cat([x, kept.pop()], 1), features)
        return torch.as_tensor(self.head(x).float())


class _Residual(nn.Module):
    def __init__(  # noqa: PLR0913 (each of them differs between the blocks of a network)
        self,
        channels_in: int,
        channels_out: int,
        features: int,
        dropout: float,
        resize: nn.Module,
        norms: tuple[nn.Module, nn.Module],
    ) -> None:
        super().__init__()
        self.resize = resize
        self.norm_in, self.norm_out = norms
        self.conv_in = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.film = nn.Linear(features, 2 * channels_out)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        if isinstance(self.norm_out, nn.GroupNorm):
            _zeroed(self.conv_out)
        self.skip = nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        inner = self.conv_in(self.resize(F.silu(self.norm_in(x))))
        scale, shift = self.film(features)[:, :, None, None].chunk(2, 1)
        inner = F.silu(self.norm_out(inner) * (1 + scale) + shift)
        return torch.as_tensor(self.skip(self.resize(x)) + self.conv_out(self.dropout(inner)))


class _Attention(nn.Module):
    def __init__(self, channels: int, heads: int, norm: nn.Module) -> None:
        super().__init__()
        self.heads = heads
        self.norm = norm
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1)
        self.mix = _zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.query_key_value(self.norm(x)).flatten(2).unflatten(1, (3, self.heads, -1)).transpose(3, 4)
        attended = F.scaled_dot_product_attention(parts[:, 0], parts[:, 1], parts[:, 2])
        return torch.as_tensor(x + self.mix(attended.transpose(2, 3).reshape(x.shape)))


class _GroupNorm(nn.GroupNorm):
    """Group norm with float32 statistics, also under autocast: half precision is too coarse, and slower on the CPU."""

    def __init__(self, channels: int) -> None:
        super().__init__(math.gcd(NORM_GROUPS, channels), channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.float()).to(x.dtype)


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """Set the weights to zero, so that every residual block starts as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
