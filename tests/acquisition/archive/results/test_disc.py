"""The disc of the fibre is stored once for each method, comes back exactly, and is in exports; hostile ones are refused."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from acquisition.archive.reader import Archive
from acquisition.archive.recorder import Recorder, RecordItem
from acquisition.archive.results.disc import described_disc, parsed_disc
from acquisition.archive.rows import StorageError
from acquisition.exchange.export import export
from acquisition.exchange.export_base import known_discs
from acquisition.exchange.import_pairs import import_pairs
from acquisition.streams.channel import Channel, Overflow
from tests.conftest import ROOT
from tests.helpers.archives.played_recording import disc, item


def recorded(root: Path, items: list[RecordItem]) -> Archive:
    channel: Channel[RecordItem] = Channel("record", len(items) + 1, Overflow.FAIL)
    for one in items:
        channel.put(one)
    channel.close()
    recorder = Recorder(root, "cells", {"fibre": "A"}, channel)
    recorder.run(threading.Event())
    assert recorder.path is not None
    return Archive.open(recorder.path)


def two_methods() -> list[RecordItem]:
    other = disc() & (np.arange(disc().shape[1]) > 9)
    first = [replace(item(number, number / 10), disc=disc()) for number in range(3)]
    second = [replace(item(number, number / 10), disc=other, model_id="pairs0123456") for number in range(3, 5)]
    return [*first, item(5, 0.5, reconstructed=False), *second]


@given(np_st.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_every_disc_comes_back_also_through_json(mask: np.ndarray) -> None:
    assert np.array_equal(parsed_disc(json.loads(json.dumps(described_disc(mask)))), mask)


def test_each_method_stores_its_disc_once(tmp_path: Path) -> None:
    items = two_methods()
    archive = recorded(tmp_path, items)
    discs = archive.discs()
    assert discs.keys() == {"0123456789ab", "pairs0123456"}
    for method, one in (("0123456789ab", items[0]), ("pairs0123456", items[-1])):
        assert one.disc is not None
        assert np.array_equal(discs[method], one.disc)
    assert archive.verify().ok


def test_recordings_without_a_disc_open_as_before(tmp_path: Path) -> None:
    assert recorded(tmp_path, [item(0, 0.0)]).discs() == {}
    assert Archive.open(ROOT / "tests" / "fixtures" / "version-0.1.0" / "take").discs() == {}


@pytest.mark.parametrize("target", ["npz", "hdf5"])
def test_exports_keep_every_pixel_and_say_the_disc_which_an_import_knows(tmp_path: Path, target: str) -> None:
    items = [replace(one, phase_rad=one.phase_rad + np.float32(0.25)) for one in two_methods()]
    archive = recorded(tmp_path / "recorded", items)
    [file, *_] = export(archive, tmp_path / "out", [target])
    again = Archive.open(import_pairs(file, tmp_path / "imported", "again"))
    for index in range(len(archive)):
        np.testing.assert_array_equal(again.read("phase", index), archive.read("phase", index))
    discs = known_discs(again)
    assert discs.keys() == archive.discs().keys()
    assert all(np.array_equal(discs[method], mask) for method, mask in archive.discs().items())


@pytest.mark.parametrize(
    "described",
    [
        None,
        "a disc",
        [],
        {},
        {"shape": [2, 2]},
        {"shape": [2, 2], "runs": None},
        {"shape": [2, 2], "runs": "1 2"},
        {"shape": [2, 2], "runs": "5 -1"},
        {"shape": [2, 2], "runs": "4.0"},
        {"shape": [2], "runs": "2"},
        {"shape": [-2, -2], "runs": "4"},
        {"shape": [2.0, 2], "runs": "4"},
        {"shape": [True, 4], "runs": "4"},
        {"shape": [2**31, 2**31], "runs": str(2**62)},
        {"shape": [2, 2], "runs": "9" * 10_000},
    ],
)
def test_what_describes_no_disc_is_refused(described: object) -> None:
    with pytest.raises(StorageError, match="disc"):
        parsed_disc(described)
