"""What every camera must do: the docstrings of :class:`drivers.base.Camera` as tests.

Inherit from the classes that apply and provide the fixture ``subject``, as the modules of ``app/benchmarks/contracts`` do. The
tests wait only on the subject's clock. Simulated cameras therefore take no time, and real cameras pass the same tests on the
computer's clock.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from drivers.base import (
    BIT_DEPTHS,
    Camera,
    CameraCounters,
    DeviceError,
    DeviceLostError,
    DeviceTimeoutError,
    Frame,
    TriggerIgnoredError,
    TriggerMode,
)
from drivers.camera_settings import (
    CameraSetting,
    Choices,
    NumberRange,
    Roi,
    RoiRange,
    SettingName,
    SettingValue,
    change_setting,
    find,
    settings_of,
)
from drivers.clock import Clock


@dataclass
class Subject:
    """One camera under test.

    Parameters
    ----------
    camera : Camera
        The camera, open.
    clock : Clock
        Its clock.
    mode : TriggerMode
        How :meth:`capture` gets a frame.
    grace_s : float
        How late the computer may be, in seconds.
    unplug, edge : callable, optional
        Disconnects the camera; sends an edge to its trigger line.
    """

    camera: Camera
    clock: Clock
    mode: TriggerMode
    grace_s: float = 0.0
    unplug: Callable[[], None] | None = None
    edge: Callable[[], None] | None = None

    @property
    def frame_s(self) -> float:
        """Longest time from the start of an exposure to the frame on a computer that is not busy, in seconds."""
        return self.camera.exposure_s + self.camera.capabilities.readout_s + 0.02

    def read(self) -> Frame:
        return self.camera.read(self.frame_s + self.grace_s)

    def nothing_comes(self, timeout_s: float | None = None) -> float:
        """Check that reading times out; return the number of seconds after which it did."""
        start_ns = self.clock.now_ns()
        with pytest.raises(DeviceTimeoutError):
            self.camera.read(self.frame_s if timeout_s is None else timeout_s)
        return (self.clock.now_ns() - start_ns) * 1e-9

    def capture(self) -> Frame:
        """Return one frame, with a trigger if ``mode`` needs one."""
        if self.mode is TriggerMode.SOFTWARE:
            self.camera.trigger()
        return self.read()

    def arm(self) -> None:
        """Arm for :meth:`capture`."""
        self.camera.arm(self.mode)


def possible_values(setting: CameraSetting) -> list[SettingValue]:
    """Return a few values that a setting takes, the present one last; a frame with the second one does not take long."""
    limits = setting.limits
    if setting.name is SettingName.EXPOSURE_S and isinstance(limits, NumberRange):
        return [limits.low, max(limits.low, min(limits.high, 0.05)), limits.high, setting.value]
    if isinstance(limits, Choices):
        return [*limits.values, setting.value]
    if isinstance(limits, NumberRange):
        middle = limits.low + (limits.high - limits.low) / 2
        if limits.step > 0:
            middle = limits.low + limits.step * ((middle - limits.low) // limits.step)
        return [limits.low, middle, limits.high, setting.value]
    width, height = int(limits.width.low), int(limits.height.low)
    corner = Roi(width=width, height=height)
    x, y = int(limits.width.high) - width, int(limits.height.high) - height
    inside = Roi(x=x // 2 // limits.x_step * limits.x_step, y=y // limits.y_step * limits.y_step, width=width, height=height)
    return [corner, inside, limits.whole, setting.value]


def impossible_values(setting: CameraSetting) -> list[SettingValue]:
    """Return values outside the range of a setting, or between its steps."""
    limits = setting.limits
    if isinstance(limits, Choices):
        return [max(limits.values) + 1, 0, -1]
    if isinstance(limits, NumberRange):
        outside = [limits.low - 1 - abs(limits.low), limits.high + 1 + abs(limits.high), float("nan"), float("inf")]
        return [*outside, Roi(width=1, height=1)]
    whole = limits.whole
    return [
        Roi(width=whole.width + 1, height=whole.height),
        Roi(x=whole.width, width=int(limits.width.low), height=int(limits.height.low)),
        0.5,
    ]


def is_set(setting: CameraSetting, value: SettingValue) -> bool:
    """Whether a setting reads back as a value, within 1 % or the steps of the device."""
    if isinstance(value, Roi) or isinstance(setting.value, Roi) or isinstance(setting.limits, RoiRange):
        return setting.value == value
    return setting.value == pytest.approx(value, rel=0.01, abs=0.01 if setting.name is SettingName.GAIN else 1e-9)


def started_ns(frame: Frame) -> int:
    return frame.t_ns - round(frame.exposure_s * 1e9)


class CameraContract:
    """For every camera."""

    #: Frames of more pixels are not read only to see their shape.
    MOST_PX = 2**21

    # ---- properties

    def test_is_a_camera(self, subject: Subject) -> None:
        assert isinstance(subject.camera, Camera)

    def test_capabilities_make_sense_and_stay(self, subject: Subject) -> None:
        capabilities = subject.camera.capabilities
        low_s, high_s = capabilities.exposure_range_s
        assert capabilities.model
        assert capabilities.serial
        assert min(capabilities.shape) > 0
        assert set(capabilities.bit_depths) <= set(BIT_DEPTHS)
        assert 0 < low_s <= subject.camera.exposure_s <= high_s
        assert capabilities.readout_s >= 0
        subject.arm()
        subject.capture()
        assert subject.camera.capabilities == capabilities

    # ---- exposure

    def test_exposure_is_read_back_and_used(self, subject: Subject) -> None:
        low_s, high_s = subject.camera.capabilities.exposure_range_s
        for exposure_s in (low_s, min(high_s, 0.003), min(high_s, 0.05)):
            exposure_s = max(low_s, exposure_s)
            subject.camera.set_exposure(exposure_s)
            assert subject.camera.exposure_s == pytest.approx(exposure_s, rel=0.01)
            subject.arm()
            assert subject.capture().exposure_s == subject.camera.exposure_s

    def test_exposure_out_of_range_is_refused_and_changes_nothing(self, subject: Subject) -> None:
        low_s, high_s = subject.camera.capabilities.exposure_range_s
        before_s = subject.camera.exposure_s
        for wrong_s in (0.0, -low_s, 0.9 * low_s, 1.1 * high_s, float("nan"), float("inf")):
            with pytest.raises(DeviceError):
                subject.camera.set_exposure(wrong_s)
            assert subject.camera.exposure_s == before_s

    # ---- settings

    def settings(self, subject: Subject) -> tuple[CameraSetting, ...]:
        """Return the settings; skip where the camera has none."""
        settings = settings_of(subject.camera)
        if not settings:
            pytest.skip(f"{subject.camera.capabilities.model} declares no settings that can change")
        return settings

    def test_settings_are_named_once_and_lie_within_their_range(self, subject: Subject) -> None:
        settings = self.settings(subject)
        assert len({setting.name for setting in settings}) == len(settings)
        for setting in settings:
            assert setting.value in setting.limits, str(setting)
            if setting.name is SettingName.EXPOSURE_S:
                assert (setting.unit, setting.value) == ("s", subject.camera.exposure_s)
            if setting.name.changes_shape:
                assert isinstance(setting.limits, Choices | RoiRange)

    def test_a_setting_is_read_back(self, subject: Subject) -> None:
        for name in [setting.name for setting in self.settings(subject)]:
            for value in possible_values(find(settings_of(subject.camera), name)):
                after = change_setting(subject.camera, name, value)
                assert is_set(after, value), f"{after} instead of {value}"
                assert find(settings_of(subject.camera), name) == after

    def test_a_setting_out_of_range_is_refused_with_the_range_and_changes_nothing(self, subject: Subject) -> None:
        before = self.settings(subject)
        for setting in before:
            for value in impossible_values(setting):
                with pytest.raises(DeviceError) as caught:
                    change_setting(subject.camera, setting.name, value)
                assert setting.name in str(caught.value)
                assert str(setting.limits) in str(caught.value)
                assert settings_of(subject.camera) == before

    def test_a_setting_that_it_does_not_have_is_refused(self, subject: Subject) -> None:
        before = settings_of(subject.camera)
        for name in set(SettingName) - {setting.name for setting in before}:
            with pytest.raises(DeviceError, match=f"no setting {name}"):
                change_setting(subject.camera, name, 1)
        assert settings_of(subject.camera) == before

    def test_settings_change_while_armed_where_they_say_so_and_need_disarming_elsewhere(self, subject: Subject) -> None:
        for setting in self.settings(subject):
            wanted = possible_values(setting)[1]
            subject.arm()
            if setting.live:
                assert is_set(change_setting(subject.camera, setting.name, wanted), wanted)
                assert subject.capture().index == 0
                subject.camera.disarm()
            else:
                with pytest.raises(DeviceError, match="disarm"):
                    change_setting(subject.camera, setting.name, wanted)
                assert find(settings_of(subject.camera), setting.name) == setting
                assert subject.capture().shape == subject.camera.capabilities.shape
                subject.camera.disarm()
                assert is_set(change_setting(subject.camera, setting.name, wanted), wanted)
            change_setting(subject.camera, setting.name, setting.value)

    def test_a_region_and_a_binning_give_frames_of_their_shape(self, subject: Subject) -> None:
        for setting in self.settings(subject):
            if not setting.name.changes_shape:
                continue
            for value in possible_values(setting):
                change_setting(subject.camera, setting.name, value)
                region = find(settings_of(subject.camera), SettingName.ROI)
                assert isinstance(region.value, Roi)
                assert isinstance(region.limits, RoiRange)
                assert region.value == (value if isinstance(value, Roi) else region.limits.whole)
                expected = (region.value.height, region.value.width)
                assert subject.camera.capabilities.shape == expected
                if expected[0] * expected[1] > self.MOST_PX:
                    continue
                subject.arm()
                assert subject.capture().shape == expected
                subject.camera.disarm()

    # ---- frames

    def test_frames_are_what_the_capabilities_say(self, subject: Subject) -> None:
        subject.arm()
        frame = subject.capture()
        assert frame.shape == subject.camera.capabilities.shape
        assert frame.bit_depth in subject.camera.capabilities.bit_depths
        assert frame.pixels.dtype == (np.uint8 if frame.bit_depth == 8 else np.uint16)
        assert 0 < int(frame.pixels.max()) <= frame.full_scale
        assert frame.exposure_s == subject.camera.exposure_s

    def test_a_frame_stays_as_it_was_read(self, subject: Subject) -> None:
        subject.arm()
        frame = subject.capture()
        before = frame.pixels.copy()
        with pytest.raises(ValueError, match="read-only"):
            frame.pixels[0, 0] = 0
        for _ in range(3):
            subject.capture()
        assert np.array_equal(frame.pixels, before)

    def test_frames_are_numbered_counted_and_timed_in_order(self, subject: Subject) -> None:
        subject.arm()
        frames = [subject.capture() for _ in range(5)]
        assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
        assert (subject.camera.counters.frames, subject.camera.counters.failed) == (5, 0)
        for earlier, later in itertools.pairwise(frames):
            assert started_ns(later) >= earlier.t_ns, "global-shutter exposures cannot overlap"
        assert frames[-1].t_ns <= subject.clock.now_ns()

    # ---- arming

    def test_starts_unarmed(self, subject: Subject) -> None:
        with pytest.raises(DeviceError):
            subject.camera.read(0.0)

    def test_arming_again_starts_from_nothing(self, subject: Subject) -> None:
        subject.arm()
        for _ in range(3):
            subject.capture()
        subject.arm()
        armed_ns = subject.clock.now_ns()
        assert subject.camera.counters == CameraCounters(0, 0, 0)
        subject.clock.wait_until(armed_ns + round(subject.frame_s * 1e9))
        frame = subject.capture()
        assert frame.index == 0
        assert started_ns(frame) >= armed_ns - round(subject.grace_s * 1e9), "a frame from before arming"

    def test_disarming_stops_it_and_may_be_repeated(self, subject: Subject) -> None:
        subject.arm()
        subject.capture()
        subject.camera.disarm()
        subject.camera.disarm()
        with pytest.raises(DeviceError):
            subject.camera.read(0.0)

    # ---- free run

    def test_runs_freely_without_triggers(self, subject: Subject) -> None:
        subject.camera.arm(TriggerMode.FREE_RUN)
        assert [subject.read().index for _ in range(4)] == [0, 1, 2, 3]
        assert subject.camera.counters == CameraCounters(triggers=0, frames=4, failed=0)

    def test_takes_no_trigger_in_free_run(self, subject: Subject) -> None:
        subject.camera.arm(TriggerMode.FREE_RUN)
        with pytest.raises(DeviceError):
            subject.camera.trigger()
        assert subject.camera.counters.triggers == 0
        assert subject.read().index == 0

    def test_a_read_times_out_in_time_and_loses_no_frame(self, subject: Subject) -> None:
        subject.camera.set_exposure(min(0.2, subject.camera.capabilities.exposure_range_s[1]))
        subject.camera.arm(TriggerMode.FREE_RUN)
        deadline_s = subject.camera.exposure_s / 4
        assert deadline_s - 1e-6 <= subject.nothing_comes(deadline_s) <= deadline_s + subject.grace_s + 1e-6
        assert subject.read().index == 0

    def test_free_run_armed_in_the_middle_of_an_exposure_keeps_its_deadline(self, subject: Subject) -> None:
        subject.camera.set_exposure(min(0.2, subject.camera.capabilities.exposure_range_s[1]))
        deadline_s = subject.camera.exposure_s / 4
        for _ in range(2):
            subject.camera.arm(TriggerMode.FREE_RUN)
            assert subject.nothing_comes(deadline_s) <= deadline_s + subject.grace_s + 1e-6

    # ---- closing

    def test_nothing_is_read_after_closing_and_closing_may_be_repeated(self, subject: Subject) -> None:
        subject.arm()
        subject.camera.close()
        subject.camera.close()
        with pytest.raises(DeviceError):
            subject.camera.read(0.0)

    def test_the_context_manager_closes_and_hides_no_error(self, subject: Subject) -> None:
        def leave_with_an_error() -> None:
            with subject.camera as camera:
                assert camera is subject.camera
                subject.arm()
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            leave_with_an_error()
        with pytest.raises(DeviceError):
            subject.camera.read(0.0)


class TriggerContract:
    """For cameras with a software trigger."""

    @pytest.fixture
    def triggered(self, subject: Subject) -> Subject:
        """The camera, armed for software triggers."""
        subject.camera.arm(TriggerMode.SOFTWARE)
        return subject

    def test_gives_nothing_without_a_trigger(self, triggered: Subject) -> None:
        for timeout_s in (0.0, 0.05, triggered.frame_s):
            assert timeout_s - 1e-6 <= triggered.nothing_comes(timeout_s) <= timeout_s + triggered.grace_s + 1e-6
        assert triggered.camera.counters == CameraCounters(0, 0, 0)

    def test_one_trigger_gives_one_frame(self, triggered: Subject) -> None:
        for number in range(3):
            asked_ns = triggered.clock.now_ns()
            triggered.camera.trigger()
            assert triggered.camera.counters == CameraCounters(number + 1, number, 0)
            frame = triggered.read()
            late_s = (started_ns(frame) - asked_ns) * 1e-9
            assert -1e-6 <= late_s <= triggered.grace_s + 1e-6, "the exposure does not follow its trigger"
            assert triggered.camera.counters == CameraCounters(number + 1, number + 1, 0)
            triggered.nothing_comes()

    def test_a_frame_waits_for_its_reader(self, triggered: Subject) -> None:
        triggered.camera.trigger()
        asked_ns = triggered.clock.now_ns()
        triggered.clock.wait_until(asked_ns + round((triggered.frame_s + 0.2) * 1e9))
        assert triggered.camera.read(0.0).t_ns <= asked_ns + round((triggered.frame_s + triggered.grace_s) * 1e9)

    def test_a_trigger_while_busy_is_ignored_and_reported(self, triggered: Subject) -> None:
        triggered.camera.set_exposure(min(0.1, triggered.camera.capabilities.exposure_range_s[1]))
        triggered.camera.trigger()
        with pytest.raises(TriggerIgnoredError):
            triggered.camera.trigger()
        assert triggered.camera.counters.triggers == 1
        assert triggered.read().index == 0
        triggered.nothing_comes()
        assert triggered.capture().index == 1

    def test_a_trigger_while_unarmed_is_ignored_and_reported(self, triggered: Subject) -> None:
        triggered.camera.disarm()
        with pytest.raises(TriggerIgnoredError):
            triggered.camera.trigger()

    @pytest.mark.parametrize("disarm", [True, False])
    def test_a_frame_on_its_way_does_not_survive_arming(self, triggered: Subject, *, disarm: bool) -> None:
        triggered.camera.trigger()
        if disarm:
            triggered.camera.disarm()
        triggered.camera.arm(TriggerMode.SOFTWARE)
        triggered.nothing_comes()
        assert triggered.capture().index == 0

    def test_changing_the_exposure_does_not_change_the_current_one(self, triggered: Subject) -> None:
        triggered.camera.set_exposure(0.004)
        triggered.camera.trigger()
        triggered.camera.set_exposure(0.008)
        assert [triggered.read().exposure_s, triggered.capture().exposure_s] == pytest.approx([0.004, 0.008], rel=0.01)

    def test_a_frame_on_its_way_does_not_survive_reconnecting(self, triggered: Subject) -> None:
        triggered.camera.trigger()
        triggered.camera.reconnect()
        triggered.camera.arm(TriggerMode.SOFTWARE)
        triggered.nothing_comes()


class LineContract:
    """For cameras whose trigger line can be tested."""

    @pytest.fixture
    def waiting(self, subject: Subject) -> Subject:
        """The camera, armed for edges on its line."""
        subject.camera.arm(TriggerMode.HARDWARE)
        return subject

    def send(self, subject: Subject) -> Frame:
        """Send an edge and return its frame."""
        assert subject.edge is not None
        subject.edge()
        return subject.camera.read(subject.frame_s + subject.camera.capabilities.trigger_delay_s + subject.grace_s)

    def test_gives_nothing_without_an_edge_in_time(self, waiting: Subject) -> None:
        for timeout_s in (0.0, 0.05):
            assert timeout_s - 1e-6 <= waiting.nothing_comes(timeout_s) <= timeout_s + waiting.grace_s + 1e-6
        assert waiting.camera.counters == CameraCounters(0, 0, 0)

    def test_one_edge_gives_one_frame_after_the_delay(self, waiting: Subject) -> None:
        for number in range(3):
            asked_ns = waiting.clock.now_ns()
            frame = self.send(waiting)
            assert frame.index == number
            delay_s = waiting.camera.capabilities.trigger_delay_s
            assert (started_ns(frame) - asked_ns) * 1e-9 >= delay_s - 1e-6 - waiting.grace_s
            assert waiting.camera.counters == CameraCounters(number + 1, number + 1, 0)
            waiting.nothing_comes()

    def test_takes_no_software_trigger_while_it_waits_for_its_line(self, waiting: Subject) -> None:
        with pytest.raises(DeviceError, match="waits for"):
            waiting.camera.trigger()
        assert self.send(waiting).index == 0

    def test_an_edge_from_before_arming_is_ignored(self, waiting: Subject) -> None:
        assert waiting.edge is not None
        waiting.edge()
        waiting.camera.disarm()
        waiting.clock.wait_until(waiting.clock.now_ns() + 200_000_000)
        waiting.camera.arm(TriggerMode.HARDWARE)
        waiting.nothing_comes()
        assert self.send(waiting).index == 0


class FreeRunOnlyContract:
    """For cameras without a trigger."""

    def test_a_camera_without_triggers_refuses_them(self, subject: Subject) -> None:
        with pytest.raises(DeviceError, match="cannot be triggered"):
            subject.camera.arm(TriggerMode.SOFTWARE)
        with pytest.raises(DeviceError, match="cannot be triggered"):
            subject.camera.trigger()


class LostContract:
    """For cameras that can be unplugged."""

    @pytest.fixture
    def unplugged(self, subject: Subject) -> Subject:
        """The camera, armed and then disconnected."""
        assert subject.unplug is not None
        subject.arm()
        subject.unplug()
        return subject

    def test_reports_its_loss_and_can_still_be_closed(self, unplugged: Subject) -> None:
        camera = unplugged.camera
        for call in (lambda: camera.read(0.0), camera.trigger, lambda: camera.arm(TriggerMode.FREE_RUN)):
            with pytest.raises(DeviceLostError):
                call()
        camera.close()

    def test_comes_back_disarmed_with_its_settings(self, subject: Subject) -> None:
        camera = subject.camera
        for name in [setting.name for setting in settings_of(camera)]:
            change_setting(camera, name, possible_values(find(settings_of(camera), name))[1])
        before = (settings_of(camera), camera.capabilities.shape, camera.exposure_s)
        assert subject.unplug is not None
        subject.arm()
        subject.unplug()
        camera.reconnect()
        assert (settings_of(camera), camera.capabilities.shape, camera.exposure_s) == before
        with pytest.raises(DeviceError) as caught:
            camera.read(0.0)
        assert not isinstance(caught.value, DeviceLostError | DeviceTimeoutError)
        subject.arm()
        assert subject.capture().index == 0
