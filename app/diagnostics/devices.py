"""Checks of cameras, SLMs and their libraries."""

from __future__ import annotations

from importlib import metadata

from app.diagnostics.findings import Finding, Verdict
from app.instrument.config import InstrumentConfig
from app.instrument.devices import CAMERAS, SCREEN_COMMAND, SLMS, detect, open_camera, open_slm
from app.instrument.kinds import CameraKind, SlmKind
from app.instrument.opening import open_rig
from drivers.base import Camera, SpeckleScopeError, TriggerMode
from drivers.camera_settings import settings_of
from drivers.clock import RealClock
from drivers.displays.screen import list_screens, measured_period_s

_OPTIONAL = {"pypylon": "Basler cameras", "slmsuite": "cameras and SLMs of slmsuite"}


def cameras(config: InstrumentConfig) -> list[Finding]:
    """List the cameras that are plugged in."""
    findings = []
    for kind, subject in ((CameraKind.BASLER, "Basler cameras"), (CameraKind.OPENCV, "UVC cameras")):
        try:
            names = [device.text for device in detect(CAMERAS[kind])]
        except SpeckleScopeError as error:
            remedy = "if you have such a camera, install the library that the text names"
            findings.append(Finding(subject, Verdict.NOTE, str(error), remedy))
            continue
        findings.append(Finding(subject, Verdict.OK if names else Verdict.NOTE, ", ".join(names) or "none detected"))
    return findings


def screens(config: InstrumentConfig) -> list[Finding]:
    """List the monitors, and measure the frame period of the one that is the SLM."""
    monitors = list_screens(SCREEN_COMMAND)
    if not monitors:
        return [Finding("monitors", Verdict.NOTE, "there is no display, so no monitor can be the SLM")]
    names = [device.text for device in detect(SLMS[SlmKind.SCREEN])]
    findings = [Finding("monitors", Verdict.OK if len(monitors) > 1 else Verdict.NOTE, "; ".join(names))]
    if config.slm is SlmKind.SCREEN:
        findings.append(_frame_period(config))
    return findings


def _frame_period(config: InstrumentConfig) -> Finding:
    subject = "SLM's frame period"
    period_s = measured_period_s(SCREEN_COMMAND, config.screen.screen)
    if period_s:
        return Finding(subject, Verdict.OK, f"{1e3 * period_s:.3f} ms measured, {1 / period_s:.2f} Hz")
    text = "not measurable: drawing does not wait for the monitor (no OpenGL, or no vertical synchronisation)"
    remedy = "switch on vertical synchronisation in the graphics driver, or raise screen.latency_frames by one"
    return Finding(subject, Verdict.NOTE, text, remedy)


def libraries(config: InstrumentConfig) -> list[Finding]:
    """List the versions of the optional libraries."""
    installed, missing = [], []
    for name, purpose in _OPTIONAL.items():
        try:
            installed.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(f"{name} (for {purpose})")
    text = ", ".join(installed) + (f"; not installed: {', '.join(missing)}" if missing else "")
    remedy = "if you have such a device, see README, 'Devices'" if missing else ""
    return [Finding("device libraries", Verdict.NOTE if missing else Verdict.OK, text, remedy)]


def configured(config: InstrumentConfig) -> list[Finding]:
    """Open the configured devices: read a frame from the camera, list its settings, ask the SLM for its pattern size."""
    if config.on_twin:
        rig, _ = open_rig(config)
        with rig.camera as camera:
            return [_settings(camera)]
    return [*_configured_camera(config), *_configured_slm(config)]


def _configured_camera(config: InstrumentConfig) -> list[Finding]:
    try:
        with open_camera(config, RealClock()) as camera:
            camera.arm(TriggerMode.FREE_RUN)
            height, width = camera.read(5.0 + camera.exposure_s).shape
            capabilities = camera.capabilities
            text = f"{capabilities.model} {capabilities.serial}: a frame of {width} x {height} px was read"
            return [Finding("camera", Verdict.OK, text), _settings(camera)]
    except SpeckleScopeError as error:
        return [_failed("camera", error, config.camera)]


def _settings(camera: Camera) -> Finding:
    """List the settings of the camera with their values and ranges."""
    settings = settings_of(camera)
    return Finding("camera settings", Verdict.OK, "; ".join(map(str, settings)) or "this camera has none that can change")


def _configured_slm(config: InstrumentConfig) -> list[Finding]:
    try:
        slm = open_slm(config)
        if slm is None:
            return []
        with slm:
            height, width = slm.capabilities.shape
            return [Finding("SLM", Verdict.OK, f"{slm.capabilities.model}, patterns of {width} x {height} px")]
    except SpeckleScopeError as error:
        return [_failed("SLM", error, config.slm)]


def _failed(subject: str, error: SpeckleScopeError, kind: str) -> Finding:
    return Finding(subject, Verdict.BAD, str(error), f"do what the text says, or change '{kind}' on the Rig page")
