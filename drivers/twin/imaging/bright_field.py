"""The twin of a bright-field microscope with a colour camera. The panel's phase stands for that of a transparent sample."""

from __future__ import annotations

import torch

from drivers.base import WrongPatternError
from drivers.twin.imaging.chromatic_defocus import COLOURS, ChromaticConfig, colour_frames


class BrightFieldOptics:
    """What the colour camera sees of a transparent sample; see :class:`drivers.twin.camera.TwinOptics`.

    Parameters
    ----------
    config : ChromaticConfig
        The microscope.
    side_px : int
        Side of a frame in pixels.
    """

    def __init__(self, config: ChromaticConfig, side_px: int) -> None:
        self.config = config
        self.side_px = side_px

    @property
    def serial(self) -> str:
        """What tells this twin from others: its defocus."""
        return "bright-field-" + "-".join(f"{each:g}" for each in self.config.defocus_um)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels of a frame: its colours."""
        return COLOURS

    def seen(self, phase_rad: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the light (3, n, n) of one exposure; without a sample it is 1.

        Raises
        ------
        WrongPatternError
            The phases are not as wide as the frame.
        """
        if phase_rad.shape[-2:] != (self.side_px, self.side_px):
            raise WrongPatternError(
                f"the microscope needs phases of {self.side_px} x {self.side_px} px, got {tuple(phase_rad.shape)}; resize them"
            )
        return colour_frames(phase_rad, self.config).mean(0)
