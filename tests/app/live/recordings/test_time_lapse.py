"""A time lapse that was interrupted goes on in a next part, on the grid of the first one, until its time has passed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec
from app.cli.record_options import WhatToRecord, order_of
from app.live.recordings.options import RecordingOptionsError
from app.live.recordings.time_lapse import TimeLapse, seconds_of

EVERY_S, FOR_S = 1200.0, 14 * 3600.0
START = datetime(2026, 11, 29, 20, 0, tzinfo=UTC)


def asked(hours: float, name: str = "worm", every_s: float = EVERY_S) -> TimeLapse:
    """Return what is asked for, so many hours after the start."""
    return TimeLapse(name=name, every_s=every_s, for_s=FOR_S, started=START + timedelta(hours=hours))


def recorded(root: Path, name: str, metadata: Mapping[str, object]) -> Path:
    """Return a recording as a killed program leaves it: it has no verdict."""
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name=name, arrays=[ArraySpec("speckle", (2, 2), "uint8")], metadata=metadata)
    with ArchiveWriter.create(root, spec, None) as writer:
        return writer.path


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20min", 1200.0), ("14h", 50400.0), ("1.5 h", 5400.0), ("500ms", 0.5), ("2d", 172800.0), ("30", 30.0)],
)
def test_durations_are_written_as_people_do(text: str, seconds: float) -> None:
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "min", "0s", "-3s", "20 minutes", "1e3", "9" * 400 + "d"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(RecordingOptionsError, match="write 30s, 20min, 14h or 2d"):
        seconds_of(text)


def test_the_first_part_begins_at_once(tmp_path: Path) -> None:
    lapse = TimeLapse.begin_or_continue(tmp_path, asked(0))
    assert (lapse.part, lapse.recording_name, lapse.first_due_s(START), lapse.left_s(START)) == (1, "worm", 0.0, FOR_S)


def test_an_interrupted_time_lapse_goes_on_in_numbered_parts_on_the_same_grid(tmp_path: Path) -> None:
    first = recorded(tmp_path, "worm", asked(0).facts())
    recorded(tmp_path, "other", {"notes": "no time lapse"})
    (tmp_path / "20261129-200000_recording_broken_12345678").mkdir()
    second = TimeLapse.begin_or_continue(tmp_path, asked(3.1))
    assert (second.part, second.recording_name, second.continues) == (2, "worm-part2", first.name)
    now = START + timedelta(hours=3.1)
    assert second.left_s(now) == pytest.approx(FOR_S - 3.1 * 3600)
    assert (now + timedelta(seconds=second.first_due_s(now)) - START).total_seconds() % EVERY_S == pytest.approx(0, abs=1e-3)
    path = recorded(tmp_path, second.recording_name, second.facts())
    third = TimeLapse.begin_or_continue(tmp_path, asked(5))
    assert (third.part, third.continues, third.started) == (3, path.name, START)


@pytest.mark.parametrize("new", [asked(14.1), asked(1, name="fly"), asked(1, every_s=60.0), asked(-1)])
def test_a_time_lapse_that_is_over_or_another_begins_anew(tmp_path: Path, new: TimeLapse) -> None:
    recorded(tmp_path, "worm", asked(0).facts())
    assert TimeLapse.begin_or_continue(tmp_path, new) == new


def test_the_command_orders_what_its_options_say(tmp_path: Path) -> None:
    what = WhatToRecord(frames=7, every_nth=2, before="3s", notes="n", tag=["a", "b"], pattern="{name}-{counter:02}")
    order = order_of("worm", what, tmp_path)
    options = order.options
    assert (order.name, order.seconds, options.length.frames, options.before_s) == ("worm-01", None, 7, 3.0)
    assert (options.every_nth, options.notes, options.tags) == (2, "n", ("a", "b"))
    recorded(tmp_path, "worm-01", {})
    assert order_of("worm", what, tmp_path).name == "worm-02"
    assert order_of("worm", WhatToRecord(), tmp_path).seconds == 10.0


def test_the_command_continues_a_time_lapse(tmp_path: Path) -> None:
    what = WhatToRecord(every="20min", duration="14h")
    order = order_of("worm", what, tmp_path)
    recorded(tmp_path, order.name, order.options.metadata())
    again = order_of("worm", what, tmp_path)
    assert (again.name, again.options.every_s) == ("worm-part2", EVERY_S)
    assert again.seconds == pytest.approx(FOR_S, abs=60)
    assert EVERY_S - 60 < again.options.first_due_s <= EVERY_S


@pytest.mark.parametrize(
    "what", [WhatToRecord(every="20min"), WhatToRecord(duration="2h"), WhatToRecord(every="2s", duration="3s", seconds=4)]
)
def test_half_of_a_time_lapse_is_refused(tmp_path: Path, what: WhatToRecord) -> None:
    with pytest.raises(RecordingOptionsError, match="--every and --for"):
        order_of("worm", what, tmp_path)
