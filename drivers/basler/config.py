"""What a Basler camera is told when it is opened; apart from its driver, because pylon takes a second to load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Activation = Literal["RisingEdge", "FallingEdge"]


@dataclass(frozen=True)
class BaslerConfig:
    """Which camera, and how it is set when it is opened. Zeros and empty texts leave what the camera has.

    Parameters
    ----------
    serial : str
        Serial number; empty takes the only camera there is.
    user_set : str
        Loaded first, for instance ``UserSet1``.
    bit_depth : int
        8, 10, 12 or 16.
    exposure_s, gain_db : float
        Exposure time in seconds and gain in decibels.
    width, height, offset_x, offset_y : int
        Region of interest in pixels; 0 is the whole sensor.
    packet_size_bytes : int
        GigE packet size, for instance 9000 with jumbo frames.
    packet_delay_ticks : int
        GigE pause between packets, for cameras that share a link.
    bandwidth_bytes_per_s : int
        Limit of the USB3 or GigE link, for cameras that share one.
    buffers : int
        Frames that may wait for the reader.
    trigger_line : str
        Input that starts an exposure in hardware mode, for instance the SLM's sync output.
    trigger_activation : {"RisingEdge", "FallingEdge"}
        Which edge does.
    trigger_delay_s : float
        From the edge to the exposure; at least the SLM's settling time.
    trigger_burst : int
        Frames an edge starts; above 1 only outside paired acquisition, where one edge is one frame.
    output_line, output_source : str
        Output that carries a signal of the camera, for instance ``Line2`` and ``ExposureActive`` to drive an SLM.
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
        if self.bit_depth not in (8, 10, 12, 16):
            raise ValueError(f"a Basler camera has 8, 10, 12 or 16 bit, got {self.bit_depth}")
        sizes = (self.width, self.height, self.offset_x, self.offset_y, self.packet_size_bytes, self.bandwidth_bytes_per_s)
        if min(*sizes, self.packet_delay_ticks) < 0 or self.buffers < 1 or not self.exposure_s > 0:
            raise ValueError(f"sizes are 0 or more, buffers 1 or more and the exposure positive, got {self}")
        if self.trigger_delay_s < 0 or self.trigger_burst < 1:
            raise ValueError(f"the trigger's delay is 0 or more and its burst 1 or more, got {self}")
        if self.trigger_activation not in get_args(Activation):
            raise ValueError(f"the trigger acts on a RisingEdge or FallingEdge, got {self.trigger_activation!r}")
