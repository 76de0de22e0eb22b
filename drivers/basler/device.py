"""Find a Basler camera, write its settings, and read its properties and limits."""

from __future__ import annotations

from typing import Any

from pypylon import genicam, pylon

from drivers.base import CameraCapabilities, DeviceError
from drivers.basler.config import BaslerConfig

#: Readout time in seconds of a camera that does not report it.
_READOUT_S = 0.02


def list_cameras() -> list[tuple[str, str]]:
    """Return model and serial number of every Basler camera that pylon finds now."""
    devices = pylon.TlFactory.GetInstance().EnumerateDevices()
    return [(device.GetModelName(), device.GetSerialNumber()) for device in devices]


def describe(camera: Any) -> CameraCapabilities:
    """Return the properties and limits of an open camera."""
    info, formats = camera.GetDeviceInfo(), set(camera.PixelFormat.Symbolics)
    readout_us = value(camera, "SensorReadoutTime")
    return CameraCapabilities(
        model=info.GetModelName(),
        serial=info.GetSerialNumber(),
        shape=(camera.Height.Value, camera.Width.Value),
        bit_depths=tuple(depth for depth in (8, 10, 12, 16) if f"Mono{depth}" in formats),
        exposure_range_s=(camera.ExposureTime.Min * 1e-6, camera.ExposureTime.Max * 1e-6),
        readout_s=readout_us * 1e-6 if isinstance(readout_us, float) else _READOUT_S,
    )


def value(camera: Any, *names: str) -> object:
    """Return the value of the first named feature that this camera has and that can be read, or None."""
    for name in names:
        node = camera.GetNodeMap().GetNode(name)
        if node is not None and genicam.IsReadable(node):
            return node.GetValue()
    return None


def find(serial: str) -> Any:
    """Return pylon's description of the camera with this serial number; an empty text selects the only camera.

    Raises
    ------
    DeviceError
        No camera or more than one matches; the message lists those that are connected.
    """
    devices = pylon.TlFactory.GetInstance().EnumerateDevices()
    serials = ", ".join(device.GetSerialNumber() for device in devices)
    matching = [device for device in devices if serial in ("", device.GetSerialNumber())]
    if not matching:
        connected = f"found only {serials}" if serials else "found no camera"
        raise DeviceError(f"no Basler camera with serial '{serial}', {connected}; check power, cable and the serial number")
    if len(matching) > 1:
        raise DeviceError(f"there are {len(matching)} Basler cameras; choose one by its serial number: {serials}")
    return matching[0]


def configure(camera: Any, config: BaslerConfig) -> None:
    """Write the settings to an open camera; pylon's own exception names a setting that it refuses."""
    if config.user_set:
        camera.UserSetSelector.Value = config.user_set
        camera.UserSetLoad.Execute()
    camera.PixelFormat.Value = f"Mono{config.bit_depth}"
    # Offsets become 0 first: a wide region does not fit beside an old offset.
    camera.OffsetX.Value = camera.OffsetY.Value = 0
    camera.Width.Value = config.width or camera.Width.Max
    camera.Height.Value = config.height or camera.Height.Max
    camera.OffsetX.Value, camera.OffsetY.Value = config.offset_x, config.offset_y
    if config.gain_db:
        camera.Gain.Value = config.gain_db
    if config.packet_size_bytes:
        camera.GevSCPSPacketSize.Value = config.packet_size_bytes
    if config.packet_delay_ticks:
        camera.GevSCPD.Value = config.packet_delay_ticks
    if config.bandwidth_bytes_per_s:
        camera.DeviceLinkThroughputLimitMode.Value = "On"
        camera.DeviceLinkThroughputLimit.Value = config.bandwidth_bytes_per_s
    if config.output_line:
        camera.LineSelector.Value = config.output_line
        camera.LineMode.Value = "Output"
        camera.LineSource.Value = config.output_source
    camera.MaxNumBuffer.Value = config.buffers
