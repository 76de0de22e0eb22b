"""The form proposes what was acquired last; what was chosen by hand stays chosen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.gui.train_page.training_form import TrainedInstrument, TrainingForm
from app.instrument.config import InstrumentConfig
from app.library.entry import Entry, EntryEnd, EntryKind
from tests.helpers.x_server.operator import XOperator

FIBRE = "fibre A"
FIRST = datetime(2026, 11, 29, 12, tzinfo=UTC)


def dataset(name: str, hour: int, *, end: EntryEnd = EntryEnd.COMPLETE, fibre: str = FIBRE, problem: str = "") -> Entry:
    return Entry(
        path=Path("archive", name).absolute(),
        kind=EntryKind.DATASET,
        name=name,
        date=FIRST + timedelta(hours=hour),
        end=end,
        pairs=60,
        fibre=fibre,
        problem=problem,
    )


@pytest.fixture
def form(qtbot, styled, tmp_path: Path) -> TrainingForm:
    form = TrainingForm()
    qtbot.addWidget(form)
    form.use_instrument(
        TrainedInstrument(config=InstrumentConfig(archive=tmp_path / "archive"), fibre=FIBRE, sources=("mixed",))
    )
    form.resize(330, 700)
    form.show()
    return form


def proposed(form: TrainingForm) -> str:
    return form.data.currentText().split(" (")[0]


def test_the_newest_complete_dataset_of_this_fibre_is_proposed(form: TrainingForm) -> None:
    assert proposed(form) == "Simulated pairs"
    older, newer = dataset("older", 1), dataset("newer", 2)
    others = (
        dataset("stopped", 3, end=EntryEnd.STOPPED),
        dataset("being written", 4, end=EntryEnd.WRITING),
        dataset("foreign", 5, fibre="fibre B"),
        dataset("damaged", 6, problem="it cannot be read"),
    )
    form.show_datasets((newer, older, *others), "")
    assert proposed(form) == "newer"
    assert form.order().dataset == newer.path
    assert "60 pairs of fibre 'fibre A'" in form.data_text.text()


def test_a_dataset_that_comes_later_is_proposed_as_well(form: TrainingForm) -> None:
    form.show_datasets((dataset("first", 1),), "")
    form.show_datasets((dataset("first", 1), dataset("second", 2)), "")
    assert proposed(form) == "second"


@pytest.mark.parametrize(("number", "chosen"), [(0, "Simulated pairs"), (1, "first")])
def test_a_choice_by_hand_stays(form: TrainingForm, operator: XOperator, number: int, chosen: str) -> None:
    datasets = (dataset("first", 1), dataset("second", 2))
    form.show_datasets(datasets, "")
    operator.choose(form.data, number)
    assert proposed(form) == chosen
    form.show_datasets((*datasets, dataset("third", 3)), "")
    assert proposed(form) == chosen


def test_where_the_chosen_one_is_gone_or_another_instrument_is_open_there_is_a_proposal_again(
    form: TrainingForm, operator: XOperator, tmp_path: Path
) -> None:
    form.show_datasets((dataset("first", 1), dataset("second", 2)), "")
    operator.choose(form.data, 1)
    form.show_datasets((dataset("second", 2),), "")
    assert proposed(form) == "second"
    operator.choose(form.data, 0)
    config = InstrumentConfig(archive=tmp_path / "other")
    form.use_instrument(TrainedInstrument(config=config, fibre=FIBRE, sources=("mixed",)))
    form.show_datasets((dataset("theirs", 1),), "")
    assert proposed(form) == "theirs"
