"""An operator who does everything at random while a recording runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

from PyQt6.QtCore import QRect, Qt
from PyQt6.QtWidgets import QDockWidget

from app.gui.command import Command
from app.gui.window_bench.amounts import Amounts, Numbers
from app.gui.window_bench.bench_window import BenchWindow
from app.gui.window_bench.operator import answers
from app.gui.window_bench.recorded import recorded_numbers
from app.status import Message, MessageLevel, RecordingState, RecordingStatus
from drivers.camera_settings import Roi, SettingName, find

_EFFECT_S = 5.0
#: Every so many switches the recording is stopped, the region is changed, and another recording is started.
_RESTART_EVERY = 50
_REGION = Roi(x=20, y=12, width=120, height=100)


@dataclass
class _Operator:
    """The hands of the operator, and what the window has answered."""

    bench: BenchWindow
    asked: list[str]
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    reported: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bench.page.reported.connect(self.reported.append)

    # -- what takes effect

    def toggle(self, command: Command, is_on: Callable[[], bool]) -> bool:
        """Give a command that shows or hides something; whether it does."""
        before = is_on()
        self.bench.window.commands[command].trigger()
        return self.bench.run_until(lambda: is_on() is not before, _EFFECT_S)

    def fit(self) -> bool:
        """Show the whole field; whether it is shown."""
        canvas = self.bench.page.pictures.panes[0].canvas
        canvas.zoom(2.0)
        self.bench.window.commands[Command.FIT].trigger()
        return canvas.visible_um.contains(canvas.extent_um)

    def snapshot(self) -> bool:
        """Save a snapshot; whether the window says where."""
        said = len(self.reported)
        self.bench.window.commands[Command.SNAPSHOT].trigger()
        return any(message.text.startswith("Snapshot saved") for message in self.reported[said:])

    def change(self, name: SettingName, low: float, high: float) -> bool:
        """Change a setting that may change while frames are recorded; whether the camera has it."""
        value = self.rng.uniform(low, high)
        self.bench.page.change_camera(name, value)
        return self.bench.run_until(lambda: self._has(name, value), _EFFECT_S)

    def _has(self, name: SettingName, value: float) -> bool:
        setting = find(self.bench.session.camera_settings(), name)
        return isinstance(setting.value, float) and abs(setting.value - value) < 1e-6 * value

    # -- what a recording forbids

    def is_asked(self, act: Callable[[], object]) -> bool:
        """Do what a recording forbids; whether the window asks, and nothing changes after the safe answer."""
        before, shape = len(self.asked), self.bench.camera.capabilities.shape
        act()
        return len(self.asked) == before + 1 and self.bench.camera.capabilities.shape == shape and self.bench.is_open

    def is_refused(self, act: Callable[[], object]) -> bool:
        """Do what a recording forbids; whether the window says why not."""
        said = len(self.reported)
        act()
        return any(message.level is MessageLevel.ERROR for message in self.reported[said:])


def switches(bench: BenchWindow, amounts: Amounts) -> Numbers:
    """Give random commands while a recording runs; the live view runs before and after.

    What a recording forbids is refused with a message or asked about, and the recording goes on; everything else takes effect.
    """
    survived = 0
    wrong: dict[str, int] = {}
    with answers(agree=False) as asked:
        operator = _Operator(bench, asked)
        acts = _acts(operator)
        bench.record("switches")
        since_start = 0  # survived switches of this recording, which count when it has every frame
        for number in range(1, amounts.switches + 1):
            name = "restart" if number % _RESTART_EVERY == 0 else operator.rng.choice(list(acts))
            if name == "restart":
                whole = _is_whole(bench.stop_recording())
                right = whole and _restart(operator)
                survived += since_start if whole else 0
                since_start = 0
            else:
                right = acts[name]()
                bench.run(operator.rng.uniform(0.0, 0.05))
            right = right and bench.session.recording_status().state is RecordingState.RECORDING
            since_start += right
            if not right:
                wrong[name] = wrong.get(name, 0) + 1
        survived += since_start if _is_whole(bench.stop_recording()) else 0
    return {"switches": amounts.switches, "switches_survived": survived, "switches_wrong": wrong}


def _acts(operator: _Operator) -> Mapping[str, Callable[[], bool]]:
    """Return everything that is done at random, by names."""
    bench = operator.bench
    window, page, session = bench.window, bench.page, bench.session
    panels = {dock.objectName(): dock for dock in page.docks}
    return {
        "fit": operator.fit,
        "snapshot": operator.snapshot,
        "drawer": partial(operator.toggle, Command.DRAWER, window.drawer.isVisible),
        "full screen": partial(operator.toggle, Command.FULL_SCREEN, partial(_is_full_screen, bench)),
        "camera panel": partial(operator.toggle, Command.CAMERA_PANEL, partial(_is_in_front, panels["camera"])),
        "measure panel": partial(operator.toggle, Command.MEASURE_PANEL, partial(_is_in_front, panels["measure"])),
        "exposure": partial(operator.change, SettingName.EXPOSURE_S, 0.001, 0.004),
        "frame rate": partial(operator.change, SettingName.FRAME_RATE_HZ, 30.0, 60.0),
        "region": partial(operator.is_asked, partial(page.use_region, QRect(4, 4, 100, 100))),
        "live view": partial(operator.is_asked, window.commands[Command.TOGGLE_LIVE].trigger),
        "model": partial(operator.is_asked, partial(window.instruments.use_model, session.config.model)),
        "re-tune": partial(operator.is_asked, window.commands[Command.RETUNE].trigger),
        "second recording": partial(operator.is_refused, partial(page.attempt, partial(session.start_recording, "second"))),
        "seconds before": partial(operator.is_refused, partial(page.keep_before, 2.0)),
        "region by force": partial(
            operator.is_refused, partial(page.attempt, partial(session.set_camera, SettingName.ROI, _REGION))
        ),
        "new reference": partial(operator.is_refused, page.measure_reference),
    }


def _is_full_screen(bench: BenchWindow) -> bool:
    return bool(bench.window.windowState() & Qt.WindowState.WindowFullScreen)


def _is_in_front(dock: QDockWidget) -> bool:
    return dock.isVisible() and not dock.visibleRegion().isEmpty()


def _restart(operator: _Operator) -> bool:
    """Change the region while nothing is recorded, change it back, and record again; whether all that takes effect."""
    bench = operator.bench
    whole = bench.camera.capabilities.shape
    bench.page.change_camera(SettingName.ROI, _REGION)
    right = bench.run_until(lambda: bench.camera.capabilities.shape == (_REGION.height, _REGION.width), _EFFECT_S)
    bench.page.change_camera(SettingName.ROI, Roi(width=whole[1], height=whole[0]))
    right &= bench.run_until(lambda: bench.camera.capabilities.shape == whole, _EFFECT_S)
    right &= bench.run_until(lambda: bench.session.live_status().reference_age_s is not None, _EFFECT_S)
    right &= bench.paints_again(3, _EFFECT_S)
    bench.record("switches")
    return right


def _is_whole(recording: RecordingStatus) -> bool:
    """Whether a recording has every frame in order, but those that it says are missing."""
    if recording.path is None:
        return False
    numbers = [number for number in recorded_numbers(recording.path) if number is not None]
    in_order = all(before < after for before, after in pairwise(numbers))
    missing = numbers[-1] - numbers[0] + 1 - len(numbers) if numbers else -1
    return in_order and missing == recording.frames_missing and len(numbers) == recording.frames_recorded
