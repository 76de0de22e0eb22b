"""What is known of the devices of an open instrument, and what cannot be changed while it is open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass

from acquisition.capture.pair_capture import Rig
from app.instrument.config import InstrumentConfig
from app.instrument.devices import CAMERAS, SLMS
from app.instrument.fields import FieldRange, field_text, plain_title, range_of
from app.instrument.kinds import SlmKind
from drivers.base import TriggerMode
from drivers.device_facts import DeviceFact, facts_of_camera, facts_of_slm


@dataclass(frozen=True)
class FileSetting:
    """A setting of the instrument file, which counts when the instrument is opened.

    Parameters
    ----------
    label : str
        Its name, for people.
    value : str
        Its value with the unit.
    range_text : str
        What it can be; empty for a text.
    """

    label: str
    value: str
    range_text: str


@dataclass(frozen=True, kw_only=True)
class RigFacts:
    """The facts of the devices of one instrument.

    Parameters
    ----------
    camera, trigger, light : tuple of DeviceFact
        Of the camera, of what starts an exposure, and of the fibre with its light.
    slm : tuple of DeviceFact
        Of the SLM; empty without one.
    camera_file, slm_file : tuple of FileSetting
        Their settings in the instrument file.
    """

    camera: tuple[DeviceFact, ...] = ()
    slm: tuple[DeviceFact, ...] = ()
    trigger: tuple[DeviceFact, ...] = ()
    light: tuple[DeviceFact, ...] = ()
    camera_file: tuple[FileSetting, ...] = ()
    slm_file: tuple[FileSetting, ...] = ()


def rig_facts(rig: Rig, config: InstrumentConfig, fibre: str) -> RigFacts:
    """Return the facts of devices that were just opened; no other thread may use them meanwhile."""
    camera = (DeviceFact("Kind", CAMERAS[config.camera].title), *facts_of_camera(rig.camera))
    slm = (DeviceFact("Kind", SLMS[config.slm].title), *facts_of_slm(rig.slm)) if rig.slm is not None else ()
    slm_sections = () if rig.slm is None else _slm_sections(config)
    return RigFacts(
        camera=camera,
        slm=slm,
        trigger=tuple(_trigger(rig, config)),
        light=tuple(_light(config, fibre)),
        camera_file=tuple(_file_settings(_camera_section(config))),
        slm_file=tuple(setting for section in slm_sections for setting in _file_settings(section)),
    )


def _camera_section(config: InstrumentConfig) -> object:
    return config.twin.camera if config.on_twin else getattr(config, CAMERAS[config.camera].section)


def _slm_sections(config: InstrumentConfig) -> tuple[object, ...]:
    if config.slm is SlmKind.SIMULATED:
        return (config.twin.slm,)
    return (getattr(config, SLMS[config.slm].section), config.panel, config.hologram)


def _file_settings(section: object) -> Iterator[FileSetting]:
    """Yield the settings of a section, except sections inside it."""
    for name, value in vars(section).items():
        if name.startswith("_") or is_dataclass(value):
            continue
        limits = range_of(type(section), name)
        shown = limits.text if isinstance(limits, FieldRange) else str(limits) if limits is not None else ""
        yield FileSetting(plain_title(name), field_text(section, name), shown)


def _trigger(rig: Rig, config: InstrumentConfig) -> Iterator[DeviceFact]:
    if config.trigger_mode is TriggerMode.HARDWARE:
        yield DeviceFact("Starts an exposure", "the sync output of the SLM, on the trigger line of the camera")
        yield DeviceFact("Delay", f"{1e3 * rig.camera.capabilities.trigger_delay_s:.4g} ms from the edge to the exposure")
    else:
        yield DeviceFact("Starts an exposure", "this program, when the pattern has settled")


def _light(config: InstrumentConfig, fibre: str) -> Iterator[DeviceFact]:
    yield DeviceFact("Fibre", fibre)
    yield DeviceFact("Pixel at the facet", f"{config.frame_pixel_um:g} \N{MICRO SIGN}m")
    if config.on_twin:
        yield DeviceFact("Wavelength", f"{1e3 * config.twin.optics.wavelength_um:g} nm")
    yield DeviceFact("Phase range", f"{config.phase_range_rad:.3g} rad from black to white")
    yield DeviceFact("Laser", "not controlled by this program; switch it by hand")
