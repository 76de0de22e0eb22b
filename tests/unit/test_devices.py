"""From configuration to real devices: each kind opens or says what to do, and nothing half-open is left behind."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from app import rig as rigs
from app.config import InstrumentConfig, checked
from app.devices import CAMERAS, SLMS, find, open_camera, open_slm
from app.rig import open_rig
from drivers.base import DeviceError, SpeckleScopeError, TriggerMode
from drivers.clock import RealClock


@pytest.fixture
def video(tmp_path: Path, rng: np.random.Generator) -> Path:
    path = tmp_path / "speckle.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50.0, (64, 48))
    for _ in range(10):
        writer.write(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    writer.release()
    return path


def test_every_kind_has_a_name_a_section_and_a_search() -> None:
    config = InstrumentConfig()
    for kind in (*CAMERAS.values(), *SLMS.values()):
        assert kind.title
        assert not kind.section or hasattr(config, kind.section)
    assert set(CAMERAS) == set(InstrumentConfig.model_fields["camera"].annotation.__args__)  # type: ignore[union-attr]
    assert set(SLMS) == set(InstrumentConfig.model_fields["slm"].annotation.__args__)  # type: ignore[union-attr]


def test_what_is_found_opens() -> None:
    """pylon's emulator is a camera like any other, once it is switched on."""
    from drivers import basler_emulator

    with basler_emulator.EmulatedBasler():
        pass
    (found,) = find(CAMERAS["basler"])
    settings = {"camera": "basler", "slm": "none", **found.settings}
    with open_camera(checked(settings, "test"), RealClock()) as camera:
        assert camera.capabilities.serial == basler_emulator.SERIAL


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
    ("settings", "words"),
    [
        ({"camera": "opencv", "opencv": {"source": "gone.avi"}}, "no video file gone.avi"),
        ({"camera": "basler", "basler": {"serial": "1234"}}, "no Basler camera with serial '1234'"),
        ({"camera": "slmsuite"}, "class_path must name a class"),
        ({"camera": "replay", "replay": {"path": "gone"}}, "gone"),
    ],
    ids=lambda value: value["camera"] if isinstance(value, dict) else "",
)
def test_a_camera_that_is_not_there_is_one_line(settings: dict[str, object], words: str) -> None:
    with pytest.raises(SpeckleScopeError, match=words) as caught:
        open_camera(checked({"slm": "none", **settings}, "test"), RealClock())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"slm": "slmpy", "slmpy": {"port": 1}}, "slmPy server"),
        ({"slm": "slmpy-window", "slmpy_window": {"python": "no-python"}}, "no-python"),
        ({"slm": "slmsuite"}, "class_path must name a class"),
        ({"slm": "screen", "panel": {"lut_file": "gone.txt"}}, "cannot read numbers from gone.txt"),
    ],
    ids=lambda value: value["slm"] if isinstance(value, dict) else "",
)
def test_an_slm_that_is_not_there_is_one_line(settings: dict[str, object], words: str) -> None:
    with pytest.raises(DeviceError, match=words) as caught:
        open_slm(checked({"camera": "opencv", **settings}, "test"))
    assert "\n" not in str(caught.value)


def test_an_slm_that_fails_leaves_no_camera_open(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = checked({"camera": "opencv", "slm": "slmpy", "slmpy": {"port": 1}, "opencv": {"source": str(video)}}, "test")
    opened = []
    monkeypatch.setattr(rigs, "open_camera", lambda *args: opened.append(open_camera(*args)) or opened[0])
    with pytest.raises(DeviceError, match="slmPy server"):
        open_rig(config)
    with pytest.raises(DeviceError):
        opened[0].read(0.0)
