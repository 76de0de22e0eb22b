"""What is stored of one kind of calibration, with its verdict, its plots, and what applying it would change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from app.calibrations.changes import Change, changes_back, changes_of, in_use, settings_of_file
from app.calibrations.figure_file import read_figures
from app.calibrations.kinds import Calibration
from app.calibrations.storing import folders_of, read
from app.calibrations.target import CalibrationTarget
from app.calibrations.verdict import CalibrationState, CalibrationVerdict, judge, value_text
from app.instrument.applied_calibrations import changed_since
from app.instrument.config import InstrumentConfig
from app.reporting.rendering import Section
from calibration.stored import Stored
from drivers.base import SpeckleScopeError


@dataclass(frozen=True, kw_only=True)
class CalibrationRecord:
    """The calibrations of one kind of one instrument, of which one is shown.

    Parameters
    ----------
    what : Calibration
        The kind.
    verdict : CalibrationVerdict
        Verdict on the one that is shown.
    folders : tuple of Path
        All of them, newest first.
    in_use : Path, optional
        The one that was applied.
    in_use_state : CalibrationState
        The verdict on that one.
    changed_since : tuple of str
        Settings that have other values now than when that one was applied.
    folder : Path, optional
        The one that is shown.
    stored : Stored, optional
        Its content.
    value : str
        Its measured value with unit.
    figures : tuple of Section
        Its plots and pictures.
    figures_problem : str
        Why there are none.
    changes : tuple of Change
        What applying it changes; empty when all is set so already.
    why_not_applied : str
        Why it cannot be applied.
    changes_back : tuple of Change
        What going back to the former settings changes.
    why_no_way_back : str
        Why there is no way back.
    """

    what: Calibration
    verdict: CalibrationVerdict
    folders: tuple[Path, ...] = ()
    in_use: Path | None = None
    in_use_state: CalibrationState = CalibrationState.NEVER
    changed_since: tuple[str, ...] = ()
    folder: Path | None = None
    stored: Stored | None = None
    value: str = ""
    figures: tuple[Section, ...] = ()
    figures_problem: str = ""
    changes: tuple[Change, ...] = ()
    why_not_applied: str = ""
    changes_back: tuple[Change, ...] = ()
    why_no_way_back: str = ""


def read_record(what: Calibration, target: CalibrationTarget, chosen: Path | None = None) -> CalibrationRecord:
    """Read what is stored of one kind; no error is raised, the record says what is wrong.

    Parameters
    ----------
    what : Calibration
        The kind.
    target : CalibrationTarget
        The instrument.
    chosen : Path, optional
        Folder of the calibration to show; by default the newest one.
    """
    try:
        config, file_problem = settings_of_file(target), ""
    except SpeckleScopeError as error:
        config, file_problem = target.config, str(error)
    applied = in_use(what, config)
    folders = folders_of(what, target.root)
    if applied is not None and applied not in folders:
        folders = (*folders, applied)
    folder = chosen if chosen in folders else next(iter(folders), None)
    back, why_no_way_back = _way_back(what, config, file_problem)
    record = CalibrationRecord(
        what=what,
        verdict=judge(what, None, target),
        folders=folders,
        in_use=applied,
        in_use_state=_state(what, applied, target),
        changed_since=changed_since(applied, config) if applied is not None else (),
        folder=folder,
        why_not_applied="there is nothing to apply; run it first",
        changes_back=back,
        why_no_way_back=why_no_way_back,
    )
    if folder is None:
        return record
    try:
        stored = read(what, folder)
    except SpeckleScopeError as error:
        verdict = CalibrationVerdict(CalibrationState.UNREADABLE, str(error))
        return replace(record, verdict=verdict, why_not_applied="it cannot be read")
    verdict = judge(what, stored, target)
    changes, why_not = _changes(what, folder, stored, config)
    if verdict.state in (CalibrationState.STALE, CalibrationState.UNREADABLE):
        why_not = f"it is {verdict.state}: {verdict.reason}"
    figures, figures_problem = _figures(folder)
    return replace(
        record,
        verdict=verdict,
        stored=stored,
        value=value_text(what, stored),
        figures=figures,
        figures_problem=figures_problem,
        changes=changes,
        why_not_applied=file_problem or why_not,
    )


def _state(what: Calibration, folder: Path | None, target: CalibrationTarget) -> CalibrationState:
    if folder is None:
        return CalibrationState.NEVER
    try:
        return judge(what, read(what, folder), target).state
    except SpeckleScopeError:
        return CalibrationState.UNREADABLE


def _changes(what: Calibration, folder: Path, stored: Stored, config: InstrumentConfig) -> tuple[tuple[Change, ...], str]:
    try:
        changes = changes_of(what, folder, stored, config)
    except SpeckleScopeError as error:
        return (), str(error)
    return changes, "" if changes else "it is in use already"


def _way_back(what: Calibration, config: InstrumentConfig, file_problem: str) -> tuple[tuple[Change, ...], str]:
    if file_problem:
        return (), file_problem
    try:
        changes = changes_back(what, config)
    except SpeckleScopeError as error:
        return (), str(error)
    return changes, "" if changes else "the former settings are set already"


def _figures(folder: Path) -> tuple[tuple[Section, ...], str]:
    try:
        figures = read_figures(folder)
    except SpeckleScopeError as error:
        return (), str(error)
    return figures, "" if figures else "it was stored without plots; open its report"
