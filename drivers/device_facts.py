"""What a device says about itself and nobody can change: model, serial number, firmware, version of its driver."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Protocol, runtime_checkable

from drivers.base import Camera, Slm

_MS_PER_S = 1e3


@dataclass(frozen=True)
class DeviceFact:
    """One fact about a device.

    Parameters
    ----------
    name : str
        What it is, as a label: ``Serial number``.
    value : str
        The value with its unit, for people.
    """

    name: str
    value: str


@runtime_checkable
class DescribedDevice(Protocol):
    """A camera or SLM whose driver knows more about it than every device states."""

    def device_facts(self) -> tuple[DeviceFact, ...]:
        """Return further facts, such as firmware and driver; only the thread that uses the device may call this."""


def facts_of_camera(camera: Camera) -> tuple[DeviceFact, ...]:
    """Return what is known of a camera."""
    capabilities = camera.capabilities
    height, width = capabilities.shape
    low_s, high_s = capabilities.exposure_range_s
    return (
        DeviceFact("Model", capabilities.model),
        DeviceFact("Serial number", capabilities.serial),
        *_further(camera),
        DeviceFact("Frame", f"{width} x {height} px"),
        DeviceFact("Depth", f"{camera.bit_depth} bit; possible: {', '.join(map(str, capabilities.bit_depths))}"),
        DeviceFact("Exposure range", f"{_MS_PER_S * low_s:g} to {_MS_PER_S * high_s:g} ms"),
        DeviceFact("Readout", _ms(capabilities.readout_s)),
    )


def facts_of_slm(slm: Slm) -> tuple[DeviceFact, ...]:
    """Return what is known of an SLM."""
    capabilities = slm.capabilities
    height, width = capabilities.shape
    return (
        DeviceFact("Model", capabilities.model),
        DeviceFact("Serial number", capabilities.serial),
        *_further(slm),
        DeviceFact("Pattern", f"{width} x {height} px"),
        DeviceFact("Refresh", f"{1 / capabilities.refresh_s:.4g} Hz, {_ms(capabilities.refresh_s)} per picture"),
        DeviceFact("Latency", f"at most {_ms(capabilities.latency_s)} until the first light of a new pattern"),
        DeviceFact("Settling", f"{_ms(capabilities.settle_s)} after that"),
    )


def library_fact(*names: str) -> DeviceFact:
    """Return the versions of the libraries through which a device is driven; one that is not installed says so."""
    return DeviceFact("Driver", ", ".join(map(_version, names)))


def _version(name: str) -> str:
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return f"{name} of unknown version"


def _further(device: object) -> Iterable[DeviceFact]:
    return device.device_facts() if isinstance(device, DescribedDevice) else ()


def _ms(seconds: float) -> str:
    return f"{_MS_PER_S * seconds:.4g} ms"
