"""Opening real devices: each kind opens or fails with a remedy, and no device stays open after a failure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.holograms.closed_form import HologramError, static_phase
from app.instrument import opening as rigs
from app.instrument.config import InstrumentConfig, checked
from app.instrument.devices import CAMERAS, SLMS, detect, open_camera, open_slm, panel_of
from app.instrument.kinds import CameraKind, SlmKind
from app.instrument.opening import open_rig
from drivers.base import DeviceError, Pattern, SpeckleScopeError, TriggerMode
from drivers.clock import RealClock
from drivers.displays.phase_lut import GreyEncoder, GreyLut
from drivers.testing.videos import write_video


@pytest.fixture
def video(tmp_path: Path, rng: np.random.Generator) -> Path:
    images = (rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(10))
    return write_video(tmp_path / "speckle.avi", images, 50)


def test_every_kind_has_a_name_a_section_and_a_search() -> None:
    config = InstrumentConfig()
    for kind in (*CAMERAS.values(), *SLMS.values()):
        assert kind.title
        assert not kind.section or hasattr(config, kind.section)
    assert set(CAMERAS) == set(CameraKind)
    assert set(SLMS) == set(SlmKind)


def test_a_detected_camera_opens() -> None:
    """pylon's emulator is a camera like any other, once it is switched on."""
    from drivers.basler import emulator

    with emulator.EmulatedBasler():
        pass
    (device,) = detect(CAMERAS["basler"])
    settings = {"camera": "basler", "slm": "none", **device.settings}
    with open_camera(checked(settings, "test"), RealClock()) as camera:
        assert camera.capabilities.serial == emulator.SERIAL


def test_a_video_is_a_camera(video: Path) -> None:
    config = checked({"camera": "opencv", "slm": "none", "opencv": {"source": str(video)}, "fibre": "no. 3"}, "test")
    rig, fibre = open_rig(config)
    assert fibre == "no. 3"
    assert rig.slm is None
    rig.camera.arm(TriggerMode.FREE_RUN)
    assert rig.camera.read(1.0).shape == (48, 64)
    with pytest.raises(DeviceError, match="no SLM"):
        rig.display()
    rig.close()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"camera": "opencv", "opencv": {"source": "gone.avi"}}, "no video file gone.avi"),
        ({"camera": "basler", "basler": {"serial": "1234"}}, "no Basler camera with serial '1234'"),
        ({"camera": "slmsuite"}, "class_path must name a class"),
        ({"camera": "replay", "replay": {"path": "gone"}}, "gone"),
    ],
    ids=lambda value: value["camera"] if isinstance(value, dict) else "",
)
def test_a_camera_that_is_not_there_is_one_line(settings: dict[str, object], text: str) -> None:
    with pytest.raises(SpeckleScopeError, match=text) as caught:
        open_camera(checked({"slm": "none", **settings}, "test"), RealClock())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"slm": "slmpy", "slmpy": {"port": 1}}, "slmPy server"),
        ({"slm": "slmpy-window", "slmpy_window": {"python": "no-python"}}, "no-python"),
        ({"slm": "slmsuite"}, "class_path must name a class"),
        ({"slm": "screen", "panel": {"lut_file": "gone.txt"}}, "cannot read a grey LUT from gone.txt"),
    ],
    ids=lambda value: value["slm"] if isinstance(value, dict) else "",
)
def test_an_slm_that_is_not_there_is_one_line(settings: dict[str, object], text: str) -> None:
    with pytest.raises(DeviceError, match=text) as caught:
        open_slm(checked({"camera": "opencv", **settings}, "test"))
    assert "\n" not in str(caught.value)


def test_a_carrier_and_a_lens_lie_on_every_pattern(tmp_path: Path, rng: np.random.Generator) -> None:
    correction = rng.uniform(-2, 2, (60, 80)).astype(np.float32)
    np.save(tmp_path / "flat.npy", correction)
    settings: dict[str, object] = {
        "panel": {"shape": (60, 80), "correction_file": str(tmp_path / "flat.npy")},
        "hologram": {"carrier_period_px": 8.0, "lens_focal_length_mm": 200.0},
    }
    config = checked(settings, "test")
    static_rad = static_phase(config.hologram, (60, 80))
    assert static_rad is not None
    phase = rng.uniform(0, 6, (60, 80)).astype(np.float32)
    expected = GreyEncoder(GreyLut.linear(), (static_rad + correction).astype(np.float32))(phase)
    grey = panel_of(config).grey(Pattern(phase))
    # The sum is rounded once more on one of the ways, which may tip a level.
    assert (np.minimum(np.abs(grey.astype(int) - expected), 256 - np.abs(grey.astype(int) - expected)) <= 1).all()
    assert (grey == expected).mean() > 0.99
    plain = checked({"panel": {"shape": (60, 80)}}, "test")
    assert panel_of(plain).encoder.correction_rad is None
    with pytest.raises(HologramError, match="focal length"):
        panel_of(checked({"panel": {"shape": (60, 80)}, "hologram": {"lens_focal_length_mm": 0.1}}, "test"))


def test_an_slm_that_fails_leaves_no_camera_open(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = checked({"camera": "opencv", "slm": "slmpy", "slmpy": {"port": 1}, "opencv": {"source": str(video)}}, "test")
    opened = []
    monkeypatch.setattr(rigs, "open_camera", lambda *args: opened.append(open_camera(*args)) or opened[0])
    with pytest.raises(DeviceError, match="slmPy server"):
        open_rig(config)
    with pytest.raises(DeviceError):
        opened[0].read(0.0)
