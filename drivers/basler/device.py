"""Find a Basler camera, write its settings, and read its properties and limits."""

from __future__ import annotations

from typing import Any

from pypylon import pylon

from drivers.base import BIT_DEPTHS, CameraCapabilities, DeviceError
from drivers.basler.config import BaslerConfig
from drivers.basler.features import EXPOSURE, GAIN, READOUT, feature, make_neutral, value, write

#: Readout time in seconds of a camera that does not report it.
_READOUT_S = 0.02


def list_cameras() -> list[tuple[str, str]]:
    """Return model and serial number of every Basler camera that pylon finds now."""
    devices = pylon.TlFactory.GetInstance().EnumerateDevices()
    return [(device.GetModelName(), device.GetSerialNumber()) for device in devices]


def describe(camera: Any) -> CameraCapabilities:
    """Return the properties and limits of an open camera."""
    info, formats = camera.GetDeviceInfo(), set(camera.PixelFormat.Symbolics)
    readout_us, exposure = value(camera, *READOUT), feature(camera, *EXPOSURE)
    return CameraCapabilities(
        model=info.GetModelName(),
        serial=info.GetSerialNumber(),
        shape=(camera.Height.Value, camera.Width.Value),
        bit_depths=tuple(depth for depth in BIT_DEPTHS if f"Mono{depth}" in formats),
        exposure_range_s=(exposure.Min * 1e-6, exposure.Max * 1e-6),
        readout_s=readout_us * 1e-6 if isinstance(readout_us, float) else _READOUT_S,
    )


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
    """Write the settings to an open camera; raises DeviceError with the key, its value, and what the camera takes."""
    if config.user_set:
        write(camera, "user_set", ("UserSetSelector",), config.user_set)
        camera.UserSetLoad.Execute()
    make_neutral(camera, keep_pixels=bool(config.user_set))
    write(camera, "bit_depth", ("PixelFormat",), f"Mono{config.bit_depth}")
    # Offsets become 0 first: a wide region does not fit beside an old offset.
    for name in ("OffsetX", "OffsetY"):
        write(camera, name, (name,), 0)
    write(camera, "width", ("Width",), config.width or camera.Width.Max)
    write(camera, "height", ("Height",), config.height or camera.Height.Max)
    write(camera, "offset_x", ("OffsetX",), config.offset_x)
    write(camera, "offset_y", ("OffsetY",), config.offset_y)
    if config.gain_db:
        _write_gain(camera, config.gain_db)
    if config.packet_size_bytes:
        write(camera, "packet_size_bytes", ("GevSCPSPacketSize",), config.packet_size_bytes)
    if config.packet_delay_ticks:
        write(camera, "packet_delay_ticks", ("GevSCPD",), config.packet_delay_ticks)
    if config.bandwidth_bytes_per_s:
        write(camera, "bandwidth_bytes_per_s", ("DeviceLinkThroughputLimitMode",), "On")
        write(camera, "bandwidth_bytes_per_s", ("DeviceLinkThroughputLimit",), config.bandwidth_bytes_per_s)
    if config.output_line:
        write(camera, "output_line", ("LineSelector",), config.output_line)
        write(camera, "output_line", ("LineMode",), "Output")
        write(camera, "output_source", ("LineSource",), config.output_source)
    camera.MaxNumBuffer.Value = config.buffers


def _write_gain(camera: Any, gain_db: float) -> None:
    steps = feature(camera, "GainRaw")
    if feature(camera, *GAIN) is None and steps is not None:
        raise DeviceError(
            f"gain_db = {gain_db} is not possible: this camera counts its gain in steps without a unit "
            f"(GainRaw, {steps.Min} to {steps.Max}); store the gain in a user set of the camera, and name it as user_set"
        )
    write(camera, "gain_db", GAIN, gain_db)
