"""What the doctor looks at of cameras, SLMs and their libraries."""

from __future__ import annotations

from importlib import metadata

from app.diagnostics.findings import Finding
from app.instrument.config import InstrumentConfig
from app.instrument.devices import CAMERAS, SCREEN_COMMAND, SLMS, find, open_camera, open_slm
from drivers.base import SpeckleScopeError, TriggerMode
from drivers.clock import RealClock
from drivers.displays.screen import list_screens, measured_period_s

_OPTIONAL = {"pypylon": "Basler cameras", "slmsuite": "cameras and SLMs of slmsuite"}


def cameras(config: InstrumentConfig) -> list[Finding]:
    """List cameras that are plugged in."""
    findings = []
    for name, subject in (("basler", "Basler cameras"), ("opencv", "UVC cameras")):
        try:
            found = [device.text for device in find(CAMERAS[name])]
        except SpeckleScopeError as error:
            findings.append(Finding(subject, "note", str(error), "install what it names, if there is such a camera"))
            continue
        findings.append(Finding(subject, "ok" if found else "note", ", ".join(found) or "none found"))
    return findings


def screens(config: InstrumentConfig) -> list[Finding]:
    """List monitors, and measure the frame period of the one that is the SLM."""
    found = list_screens(SCREEN_COMMAND)
    if not found:
        return [Finding("monitors", "note", "no display here, so no monitor can be the SLM")]
    words = [device.text for device in find(SLMS["screen"])]
    findings = [Finding("monitors", "ok" if len(found) > 1 else "note", "; ".join(words))]
    if config.slm == "screen":
        period_s = measured_period_s(SCREEN_COMMAND, config.screen.screen)
        if period_s:
            text = f"{1e3 * period_s:.3f} ms measured, {1 / period_s:.2f} Hz"
            findings.append(Finding("SLM's frame period", "ok", text))
        else:
            text = "not measurable: drawing does not wait for the monitor (no OpenGL, or no vertical synchronisation)"
            remedy = "switch vertical synchronisation on in the graphics driver, or raise screen.latency_frames by one"
            findings.append(Finding("SLM's frame period", "note", text, remedy))
    return findings


def libraries(config: InstrumentConfig) -> list[Finding]:
    """Name the versions of the optional libraries."""
    found, missing = [], []
    for name, purpose in _OPTIONAL.items():
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(f"{name} (for {purpose})")
    text = ", ".join(found) + (f"; not installed: {', '.join(missing)}" if missing else "")
    remedy = "see README, 'Devices', if you have such a device" if missing else ""
    return [Finding("device libraries", "note" if missing else "ok", text, remedy)]


def configured(config: InstrumentConfig) -> list[Finding]:
    """Open the configured real devices: a frame from the camera, and what the SLM says of itself."""
    if config.on_twin:
        return []
    findings = []
    try:
        with open_camera(config, RealClock()) as camera:
            camera.arm(TriggerMode.FREE_RUN)
            frame = camera.read(5.0 + camera.exposure_s)
            text = (
                f"{camera.capabilities.model} {camera.capabilities.serial}: {frame.shape[1]} x {frame.shape[0]} px frame came"
            )
            findings.append(Finding("camera", "ok", text))
    except SpeckleScopeError as error:
        findings.append(
            Finding("camera", "bad", str(error), f"do what the text says, or change '{config.camera}' on the setup page")
        )
    try:
        slm = open_slm(config)
        if slm is not None:
            with slm:
                height, width = slm.capabilities.shape
                findings.append(Finding("SLM", "ok", f"{slm.capabilities.model}, patterns of {width} x {height} px"))
    except SpeckleScopeError as error:
        findings.append(Finding("SLM", "bad", str(error), f"do what the text says, or change '{config.slm}' on the setup page"))
    return findings
