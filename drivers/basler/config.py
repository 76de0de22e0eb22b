"""Settings of a Basler camera. They are apart from its driver because pylon takes a second to load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Activation = Literal["RisingEdge", "FallingEdge"]


@dataclass(frozen=True, kw_only=True)
class BaslerConfig:
    """Which camera, and its settings when it is opened. Zeros and empty texts keep the camera's own setting.

    Parameters
    ----------
    serial : str
        Serial number; empty selects the only camera that is connected.
    user_set : str
        Set of stored settings that is loaded first, for example ``UserSet1``.
    bit_depth : int
        8, 10, 12, 14 or 16.
    exposure_s, gain_db : float
        Exposure time in seconds and gain in decibels.
    width, height, offset_x, offset_y : int
        Region of interest in pixels; 0 means the whole sensor.
    packet_size_bytes : int
        GigE packet size, for example 9000 with jumbo frames.
    packet_delay_ticks : int
        GigE pause between packets, for several cameras on one link.
    bandwidth_bytes_per_s : int
        Limit of the USB3 or GigE data rate, for several cameras on one link.
    buffers : int
        Number of frames that may wait to be read.
    trigger_line : str
        Input that starts an exposure in hardware mode; connect the SLM's sync output to it.
    trigger_activation : {"RisingEdge", "FallingEdge"}
        Edge that starts the exposure.
    trigger_delay_s : float
        Time from the edge to the exposure in seconds; at least the SLM's settling time.
    trigger_burst : int
        Frames per edge. Paired acquisition needs 1.
    output_line, output_source : str
        Output line and the signal on it, for example ``Line2`` and ``ExposureActive`` to drive an SLM.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    serial: str = ""
    user_set: str = ""
    bit_depth: int = 8
    exposure_s: float = 0.010
    gain_db: float = 0.0
    width: int = 0
    height: int = 0
    offset_x: int = 0
    offset_y: int = 0
    packet_size_bytes: int = 0
    packet_delay_ticks: int = 0
    bandwidth_bytes_per_s: int = 0
    buffers: int = 16
    trigger_line: str = "Line1"
    trigger_activation: Activation = "RisingEdge"
    trigger_delay_s: float = 0.0
    trigger_burst: int = 1
    output_line: str = ""
    output_source: str = "ExposureActive"

    def __post_init__(self) -> None:
        if self.bit_depth not in (8, 10, 12, 14, 16):
            raise ValueError(f"bit_depth of a Basler camera must be 8, 10, 12, 14 or 16, got {self.bit_depth}")
        sizes = (self.width, self.height, self.offset_x, self.offset_y, self.packet_size_bytes, self.bandwidth_bytes_per_s)
        if min(*sizes, self.packet_delay_ticks) < 0 or self.buffers < 1 or not self.exposure_s > 0:
            raise ValueError(f"sizes must be 0 or more, buffers 1 or more and exposure_s positive, got {self}")
        if self.trigger_delay_s < 0 or self.trigger_burst < 1:
            raise ValueError(f"trigger_delay_s must be 0 or more and trigger_burst 1 or more, got {self}")
        if self.trigger_activation not in get_args(Activation):
            raise ValueError(f"trigger_activation must be RisingEdge or FallingEdge, got {self.trigger_activation!r}")
