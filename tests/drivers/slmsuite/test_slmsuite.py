"""Adapters for slmsuite: its simulated camera and SLM with faults, and its Basler class on Basler's emulator."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from drivers.base import (
    Camera,
    DeviceError,
    DeviceLostError,
    DeviceTimeoutError,
    FrameFailedError,
    GreySlm,
    Pattern,
    TriggerIgnoredError,
    TriggerMode,
    WrongPatternError,
)
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.phase_lut import GreyEncoder, GreyLut
from drivers.slmsuite.camera import SlmsuiteCamera, SlmsuiteCameraConfig
from drivers.slmsuite.sdk_thread import load_class
from drivers.slmsuite.slm import SlmsuiteSlm, SlmsuiteSlmConfig
from drivers.slmsuite.snapshot import counts
from drivers.testing import slm_contract
from drivers.testing.slmsuite_devices import (
    GRACE_S,
    SHAPE,
    SIMULATED_CAMERA,
    SIMULATED_SLM,
    FaultyCamera,
    FaultySlm,
    opened,
    simulated_slm,
)

pytest.importorskip("slmsuite")

BASLER = "slmsuite.hardware.cameras.basler.Basler"


# ---- cameras


def capture(camera: SlmsuiteCamera) -> Any:
    camera.trigger()
    return camera.read(camera.exposure_s + GRACE_S)


@pytest.fixture
def basler() -> Iterator[SlmsuiteCamera]:
    """slmsuite's Basler class, by its path, on pylon's emulator, which needs no time for an exposure."""
    os.environ.setdefault("PYLON_CAMEMU", "1")
    config = SlmsuiteCameraConfig(BASLER, {"serial": "0815-0000"}, triggered=True, exposure_s=0.005)
    with SlmsuiteCamera(config) as camera:
        yield camera


def test_a_class_by_its_path_is_opened_read_and_opened_again(basler: SlmsuiteCamera) -> None:
    assert isinstance(basler, Camera)
    assert (basler.capabilities.model, basler.capabilities.serial) == ("slmsuite Basler", "0815-0000")
    for _ in range(2):
        basler.set_exposure(0.003)
        basler.arm(TriggerMode.SOFTWARE)
        frames = [capture(basler) for _ in range(5)]
        assert {frame.shape for frame in frames} == {basler.capabilities.shape}
        assert [frame.exposure_s for frame in frames] == pytest.approx([0.003] * 5)
        # The emulator's image moves from frame to frame of one acquisition: each snapshot starts a new one.
        assert len({frame.pixels.tobytes() for frame in frames}) == 1
        basler.reconnect()
        assert basler.exposure_s == pytest.approx(0.003)
    basler.close()
    basler.reconnect()
    basler.arm(TriggerMode.SOFTWARE)
    assert capture(basler).index == 0


def test_a_trigger_starts_exactly_one_snapshot_after_it() -> None:
    with opened(exposure_s=0.02) as (camera, device):
        camera.arm(TriggerMode.SOFTWARE)
        for number in range(1, 4):
            asked_ns = time.monotonic_ns()
            frame = capture(camera)
            assert device.calls == number
            assert frame.t_ns - round(frame.exposure_s * 1e9) >= asked_ns


def test_free_run_captures_only_when_a_frame_is_read() -> None:
    with opened(triggered=False) as (camera, device):
        camera.arm(TriggerMode.FREE_RUN)
        camera.arm(TriggerMode.FREE_RUN)
        assert device.calls == 0
        assert [camera.read(GRACE_S).index for _ in range(3)] == [0, 1, 2]
        assert device.calls == 3


def test_a_failed_capture_is_reported_once_and_not_repeated() -> None:
    with opened() as (camera, device):
        camera.arm(TriggerMode.SOFTWARE)
        for fails in (False, True, False, True, True, False):
            device.fault = (lambda image: 1 / 0) if fails else (lambda image: image)
            if fails:
                with pytest.raises(FrameFailedError, match=r"could not capture an image, ZeroDivisionError: .*; check"):
                    capture(camera)
            else:
                capture(camera)
        assert device.calls == 6
        assert (camera.counters.triggers, camera.counters.frames, camera.counters.failed) == (6, 3, 3)


def test_three_failures_in_a_row_are_a_lost_camera_even_when_it_is_armed_again_in_between() -> None:
    with opened() as (camera, device):
        device.fault = lambda image: 1 / 0
        for kind in (FrameFailedError, FrameFailedError, DeviceLostError):
            camera.arm(TriggerMode.SOFTWARE)
            with pytest.raises(kind):
                capture(camera)
        with pytest.raises(DeviceLostError, match="reconnect"):
            camera.arm(TriggerMode.SOFTWARE)
        device.fault = lambda image: image
        camera.reconnect()
        camera.arm(TriggerMode.SOFTWARE)
        assert capture(camera).index == 0


@pytest.mark.parametrize("triggered", [True, False])
def test_a_hanging_camera_is_late_then_lost_and_never_blocks(*, triggered: bool) -> None:
    with opened(triggered=triggered, timeout_s=0.05) as (camera, device):
        device.hang()
        camera.arm(TriggerMode.SOFTWARE if triggered else TriggerMode.FREE_RUN)
        if triggered:
            camera.trigger()
        started_s = time.monotonic()
        with pytest.raises(DeviceTimeoutError):
            camera.read(0.01)
        with pytest.raises(DeviceLostError, match=r"0\.05 s after its own time-out.*reconnect"):
            camera.read(60.0)
        for call in (lambda: camera.read(60.0), lambda: camera.set_exposure(0.001), camera.trigger):
            with pytest.raises(DeviceLostError):
                call()
        camera.disarm()
        camera.close()
        assert time.monotonic() - started_s < 0.2 + GRACE_S


def try_to_trigger(camera: SlmsuiteCamera, times: int) -> None:
    for _ in range(times):
        with pytest.raises(TriggerIgnoredError, match="busy"):
            camera.trigger()


def test_a_camera_that_hangs_while_it_is_set_or_armed_again_is_lost_in_time() -> None:
    with opened(timeout_s=0.05) as (camera, device):
        device.hang()
        camera.arm(TriggerMode.SOFTWARE)
        camera.trigger()
        camera.arm(TriggerMode.SOFTWARE)
        with pytest.raises(DeviceLostError, match="reconnect"):
            try_to_trigger(camera, times=10)
        device.heal()
        camera.reconnect()
        device.hang()
        camera.arm(TriggerMode.SOFTWARE)
        camera.trigger()
        with pytest.raises(DeviceLostError, match="set the exposure"):
            camera.set_exposure(0.001)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda image: image.astype(np.uint16) * 0 + 4095 * 16, r"a count of 65520, but 8 bit end at 255; correct bit_depth"),
        (lambda image: image.astype(np.int16) - 300, "a count of -300"),
        (lambda image: image.astype(float), r"float64 \(24, 40\), not integer"),
        (lambda image: image.T, r"uint8 \(40, 24\), not integer \(24, 40\)"),
    ],
    ids=["left-justified", "negative", "float", "turned"],
)
def test_images_of_another_kind_are_refused_with_the_value(fault: Callable[[Any], Any], message: str) -> None:
    with opened() as (camera, device):
        camera.arm(TriggerMode.SOFTWARE)
        capture(camera)
        device.fault = fault
        with pytest.raises(FrameFailedError, match=f"the slmsuite camera delivered {message}"):
            capture(camera)
        assert (camera.counters.frames, camera.counters.failed) == (1, 1)


@given(bits=st.integers(8, 16), value=st.integers(-(2**15), 2**17))
def test_counts_pass_unchanged_or_not_at_all(bits: int, value: int) -> None:
    image = np.full((2, 3), value, np.int32)
    if 0 <= value < 1 << bits:
        pixels = counts(image, (2, 3), bits)
        assert pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
        assert np.array_equal(pixels, image)
    else:
        with pytest.raises(FrameFailedError, match=str(value)):
            counts(image, (2, 3), bits)


def test_slmsuites_own_processing_stays_off() -> None:
    """slmsuite rotates the image on request, but here it arrives as the sensor delivers it."""
    plain, turned = (
        FaultyCamera(simulated_slm(), bitdepth=12),
        FaultyCamera(simulated_slm(), bitdepth=12, rot="90", fliplr=True),
    )
    images = []
    for device in (plain, turned):
        device.slm.set_phase(np.random.default_rng(0).uniform(0, 6, SHAPE))
        with opened(device) as (camera, _):
            assert camera.capabilities.shape == SHAPE
            camera.arm(TriggerMode.SOFTWARE)
            images.append(capture(camera).pixels)
    assert turned.camera.shape == SHAPE[::-1]
    assert np.array_equal(*images)
    for settings in ({"averaging": 4}, {"averaging": 2, "bitdepth": 12}):
        with pytest.raises(DeviceError, match="sums frames or pixels; switch"):
            SlmsuiteCamera.wrap(FaultyCamera(**settings).camera)
    binned = FaultyCamera()
    binned.camera.set_binning(2)
    with pytest.raises(DeviceError, match="sums frames or pixels; switch"):
        SlmsuiteCamera.wrap(binned.camera)
    hdr = FaultyCamera(hdr=3)
    with opened(hdr) as (camera, _):
        camera.arm(TriggerMode.SOFTWARE)
        capture(camera)
    assert hdr.calls == 1


def test_range_and_bit_depth_are_slmsuites_unless_configured() -> None:
    with opened(FaultyCamera(exposure_bounds_s=(0.001, 0.5), bitdepth=16), bit_depth=12) as (camera, _):
        assert camera.capabilities.exposure_range_s == (0.001, 0.5)
        assert (camera.bit_depth, camera.capabilities.bit_depths) == (12, (12,))
    for bits in (11, 14):
        with opened(FaultyCamera(bitdepth=bits)) as (camera, _):
            assert camera.capabilities.bit_depths == (bits,)
    with pytest.raises(DeviceError, match=r"20 bit according to slmsuite; set bit_depth"):
        SlmsuiteCamera.wrap(FaultyCamera(bitdepth=20).camera)


# ---- SLMs


def calibrated(rng: np.random.Generator) -> Panel:
    encoder = GreyEncoder(GreyLut.gamma(1.4, 2.2 * np.pi), rng.uniform(-9, 9, SHAPE).astype(np.float32))
    return Panel(PanelConfig(SHAPE), encoder)


def test_the_panel_gets_our_grey_levels_unchanged_by_slmsuite(rng: np.random.Generator) -> None:
    """This holds even if slmsuite has a wavefront correction, a response and another wavelength of its own."""
    panel = calibrated(rng)
    faulty = FaultySlm(wav_um=0.6, wav_design_um=0.5)
    faulty.slm.source["phase"] = rng.uniform(0, 6, SHAPE)
    faulty.slm.set_gamma(np.linspace(0, 1, 256) ** 2)
    with faulty.opened(panel) as slm:
        assert isinstance(slm, GreySlm)
        for _ in range(3):
            phase = rng.uniform(-20, 20, SHAPE).astype(np.float32)
            slm.show(Pattern(phase))
            assert np.array_equal(faulty.sent[-1], panel.encoder(phase))
            assert slm.grey is not None
            assert np.array_equal(slm.grey, faulty.sent[-1])
    assert len(faulty.sent) == 3


def test_every_grey_level_arrives() -> None:
    faulty = FaultySlm()
    with faulty.opened() as slm:

        @examples(max_examples=25)
        @given(st.binary(min_size=SHAPE[0] * SHAPE[1], max_size=SHAPE[0] * SHAPE[1]))
        def check(pixels: bytes) -> None:
            grey = np.frombuffer(pixels, np.uint8).reshape(SHAPE)
            slm.show_grey(grey)
            assert np.array_equal(faulty.sent[-1], grey)
            assert slm.shown is None

        check()
        for wrong in (np.zeros(SHAPE[::-1], np.uint8), np.zeros(SHAPE, np.uint16)):
            with pytest.raises(WrongPatternError, match="resize"):
                slm.show_grey(wrong)  # type: ignore[arg-type]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_light_has_the_requested_phase(rng: np.random.Generator) -> None:
    """slmsuite's camera sees the far field of exp(i p) if its panel has the response of our LUT.

    slmsuite's uncalibrated panel is darker for a larger phase: the same grey levels give exp(-i p) there.
    """
    lut = GreyLut.gamma(1.4, 2.2 * np.pi)
    phase = rng.uniform(0, 2 * np.pi, SHAPE).astype(np.float32)
    far_field = abs(np.fft.fftshift(np.fft.fft2(np.exp(1j * phase), norm="ortho"))) ** 2
    # In slmsuite the phase of a level is minus 2 pi times its gamma.
    calibrated, rising = simulated_slm(gamma_sim=-lut.phases_rad / (2 * np.pi)), GreyLut.linear(2 * np.pi * 255 / 256)
    for their_slm, our_lut, sign in ((calibrated, lut, 1), (simulated_slm(), rising, -1)):
        device = FaultyCamera(their_slm, bitdepth=16)
        with (
            SlmsuiteSlm.wrap(their_slm, panel=Panel(PanelConfig(SHAPE), GreyEncoder(our_lut))) as slm,
            opened(device, exposure_s=0.05) as (camera, _),
        ):
            slm.show(Pattern(phase))
            camera.arm(TriggerMode.SOFTWARE)
            image = capture(camera).pixels.astype(float)
            conjugate = np.roll(far_field[::-1, ::-1], 1, axis=(0, 1))
            assert correlation(image, far_field if sign > 0 else conjugate) > 0.99
            assert correlation(image, conjugate if sign > 0 else far_field) < 0.5


def test_settling_counts_from_slmsuites_return_and_is_its_own_unless_configured() -> None:
    with FaultySlm(settle_time_s=0.25).opened(latency_s=0.05) as slm:
        asked_ns = time.monotonic_ns()
        settled_ns = slm.show(slm_contract.flat(1.0, SHAPE))
        assert settled_ns - asked_ns >= 0.3e9 - 2
        assert time.monotonic_ns() < settled_ns, "show must not wait for the liquid crystal"
    with FaultySlm(settle_time_s=0.25).opened(settle_s=0.01) as slm:
        assert slm.capabilities.settle_s == 0.01


def test_an_sdk_that_hangs_is_a_lost_slm_within_the_deadline_and_comes_back() -> None:
    faulty = FaultySlm()
    with faulty.opened(timeout_s=0.05) as slm:
        good = slm_contract.flat(1.0, SHAPE)
        slm.show(good)
        faulty.healthy.clear()
        started_s = time.monotonic()
        with pytest.raises(DeviceLostError, match=r"did not show an image within 0\.05 s.*reconnect"):
            slm.show(slm_contract.flat(2.0, SHAPE))
        for call in (lambda: slm.show(good), slm.check):
            with pytest.raises(DeviceLostError, match="reconnect"):
                call()
        assert time.monotonic() - started_s < 0.1 + GRACE_S
        faulty.healthy.set()
        slm.reconnect()
        slm.show(good)
        assert np.array_equal(faulty.sent[-1], slm.panel.grey(good))


def test_an_sdk_error_is_one_line_with_its_reason() -> None:
    faulty = FaultySlm()
    with faulty.opened() as slm:
        faulty.broken = True
        with pytest.raises(DeviceLostError, match=r"could not show an image: OSError: USB device; then reconnect") as caught:
            slm.show(slm_contract.flat(1.0, SHAPE))
        assert "\n" not in str(caught.value)


def test_an_slm_by_its_path_is_made_with_its_arguments_and_has_to_fit_its_panel() -> None:
    config = SlmsuiteSlmConfig(SIMULATED_SLM, {"resolution": (40, 24), "settle_time_s": 0.02, "name": "left"})
    with SlmsuiteSlm(config) as slm:
        assert (slm.capabilities.shape, slm.capabilities.settle_s) == (SHAPE, 0.02)
        assert (slm.capabilities.model, slm.capabilities.serial) == ("slmsuite SimulatedSLM", "left")
        slm.show(slm_contract.flat(1.0, SHAPE))
        slm.close()
        slm.reconnect()
        slm.show(slm_contract.flat(1.0, SHAPE))
    with pytest.raises(DeviceError, match=r"has \(24, 40\) pixels, the panel \(40, 24\)"):
        SlmsuiteSlm(config, Panel(PanelConfig((40, 24))))
    with pytest.raises(DeviceError, match="10 bit"):
        SlmsuiteSlm.wrap(simulated_slm(bitdepth=10))


# ---- opening


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "slmsuite.hardware",
        "slmsuite.hardware.cameras.basler",
        "slmsuite.holography.toolbox.Aperture",
        "slmsuite.hardware.cameras.basler.Basler()",
        "slmsuite.hardware..Basler",
        "slmsuite.hardware.__init__.Camera",
        "xslmsuite.hardware.cameras.basler.Basler",
        "slmsuite.hardware.cameras.basler.Basler\n",
        "slmsuite/hardware/x.Y",
    ],
)
def test_a_class_path_must_lie_within_slmsuites_hardware(path: str) -> None:
    if path != "slmsuite.hardware.cameras.basler":  # this looks like a class and is refused only when it is loaded
        for config in (SlmsuiteCameraConfig, SlmsuiteSlmConfig):
            with pytest.raises(ValueError, match="class_path must be a class such as"):
                config(path)
    with pytest.raises((ValueError, DeviceError)):
        load_class(path, "Camera")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("slmsuite.hardware.cameras.nikon.Nikon", r"no module slmsuite\.hardware\.cameras\.nikon"),
        ("slmsuite.hardware.cameras.basler.Nikon", "not one of slmsuite's Camera classes"),
        ("slmsuite.hardware.cameras.basler.warnings", "not one of slmsuite's Camera classes"),
        ("slmsuite.hardware.cameras.camera.Camera", "not one of slmsuite's Camera classes"),
        (SIMULATED_SLM, "not one of slmsuite's Camera classes"),
    ],
)
def test_a_class_that_is_not_a_camera_is_refused_by_name(path: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        SlmsuiteCamera(SlmsuiteCameraConfig(path))


def test_a_device_that_does_not_open_says_why_in_one_line() -> None:
    os.environ.setdefault("PYLON_CAMEMU", "1")
    with pytest.raises(DeviceError, match=r"the slmsuite camera Basler could not open: RuntimeError: .*nope") as caught:
        SlmsuiteCamera(SlmsuiteCameraConfig(BASLER, {"serial": "nope"}))
    assert "\n" not in str(caught.value)
    with pytest.raises(DeviceError, match=r"could not open: TypeError: .*colour"):
        SlmsuiteSlm(SlmsuiteSlmConfig(SIMULATED_SLM, {"resolution": (40, 24), "colour": "red"}))


def run(script: str) -> str:
    """Run a script in a new Python process, where slmsuite is not loaded yet; return what it printed."""
    result = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def test_a_missing_slmsuite_is_one_line_that_says_how_to_install_it() -> None:
    output = run(
        "import sys; sys.modules['slmsuite'] = None\n"
        "from drivers.base import DeviceError\n"
        "from drivers.slmsuite.camera import SlmsuiteCamera, SlmsuiteCameraConfig\n"
        f"try: SlmsuiteCamera(SlmsuiteCameraConfig({BASLER!r}))\n"
        "except DeviceError as error: print(error)"
    )
    assert output.startswith("slmsuite is not installed; pip install 'specklescope[slmsuite]', then pip install --no-deps slm")


def test_it_is_loaded_only_when_it_is_used_and_prints_nothing() -> None:
    output = run(
        "import sys\n"
        "import numpy as np\n"
        "from drivers.base import DeviceError, Pattern\n"
        "from drivers.slmsuite.camera import SlmsuiteCamera, SlmsuiteCameraConfig\n"
        "from drivers.slmsuite.slm import SlmsuiteSlm, SlmsuiteSlmConfig\n"
        "assert not {'slmsuite', 'matplotlib'} & set(sys.modules)\n"
        f"with SlmsuiteSlm(SlmsuiteSlmConfig({SIMULATED_SLM!r}, {{'resolution': (1920, 1080)}})) as slm:\n"
        "    slm.show(Pattern(np.zeros((1080, 1920), np.float32)))\n"
        f"try: SlmsuiteCamera(SlmsuiteCameraConfig({SIMULATED_CAMERA!r}))\n"
        "except DeviceError: pass"
    )
    assert output == ""


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        (SlmsuiteCameraConfig, {"exposure_s": 0.0}),
        (SlmsuiteCameraConfig, {"exposure_range_s": (0.1, 0.01)}),
        (SlmsuiteCameraConfig, {"bit_depth": 7}),
        (SlmsuiteCameraConfig, {"timeout_s": 0.0}),
        (SlmsuiteCameraConfig, {"arguments": {"serial": None}}),
        (SlmsuiteCameraConfig, {"arguments": {"a b": 1}}),
        (SlmsuiteSlmConfig, {"latency_s": 0.01}),
        (SlmsuiteSlmConfig, {"settle_s": -1.0}),
        (SlmsuiteSlmConfig, {"timeout_s": 0.0}),
        (SlmsuiteSlmConfig, {"arguments": {"pitch_um": ("8", 8)}}),
    ],
)
def test_impossible_settings_are_refused_before_loading(config: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        config(SIMULATED_SLM, **settings)


def test_a_configuration_can_be_hashed_and_keeps_its_own_arguments() -> None:
    arguments = {"serial": "1"}
    config = SlmsuiteCameraConfig(BASLER, arguments)  # type: ignore[arg-type]
    arguments["serial"] = "2"
    assert config.arguments == {"serial": "1"}
    assert len({config, SlmsuiteCameraConfig(BASLER, {"serial": "1"})}) == 1
    with pytest.raises(ValueError, match="must name a class"):
        SlmsuiteCamera(SlmsuiteCameraConfig())
