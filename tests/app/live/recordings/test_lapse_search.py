"""The frame of a time lapse is the first one with a reconstruction, or the first one where none comes."""

from __future__ import annotations

import numpy as np
import pytest

from app.live.recordings import lapse_search
from app.live.recordings.lapse_search import LapseSearch
from app.status import LiveView
from drivers.base import Frame
from reconstruction.base import Reconstruction

FRAME_NS = 100_000_000


def frame(index: int) -> Frame:
    return Frame(np.zeros((4, 4), np.uint8), index, index * FRAME_NS, 0.01)


def view(index: int, *, reconstructed: bool = True) -> LiveView:
    phase_rad = np.zeros((2, 2), np.float32)
    reconstruction = Reconstruction(
        phase_rad=phase_rad, frame_index=index, latency_s=0.01, inference_s=0.01, model_id="m", engine="torch"
    )
    return LiveView(frame(index), reconstruction if reconstructed else None)


def searching(last: int) -> LapseSearch:
    """Return a search that began with frame 10 and has seen those until ``last``."""
    search = LapseSearch(patience_s=2.0)
    assert search.put_frame(frame(9), is_due=False) is None
    for index in range(10, last + 1):
        assert search.put_frame(frame(index), is_due=index == 10) is None
    return search


def test_the_frame_with_a_reconstruction_is_recorded() -> None:
    search = searching(15)
    assert search.put_view(view(9)) is None  # it was before its time
    assert search.put_view(view(12, reconstructed=False)) is None
    chosen = search.put_view(view(13))
    assert chosen is not None
    assert chosen.index == 13
    assert (search.put_view(view(14)), search.give_up()) == (None, None)


@pytest.mark.parametrize("how", ["too long", "next", "end"])
def test_without_a_reconstruction_it_is_the_first_frame(how: str) -> None:
    search = searching(30)
    if how == "too long":
        chosen = search.put_frame(frame(31), is_due=False)
    elif how == "next":
        chosen = search.put_frame(frame(25), is_due=True)
        following = search.put_view(view(25))
        assert following is not None
    else:
        chosen = search.give_up()
    assert chosen is not None
    assert chosen.index == 10
    assert search.give_up() is None


def test_memory_is_limited_and_the_first_frame_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lapse_search, "_MOST_BYTES", 3 * 16)
    search = searching(20)
    assert search.put_view(view(15)) is None
    newest = search.put_view(view(18))
    assert newest is not None
    assert newest.index == 18
