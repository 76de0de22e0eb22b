"""The pages on the rail below the live page, from top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.gui.pages.page_stack import PageEntry

if TYPE_CHECKING:
    from app.gui.pages.page import Page


def _data() -> type[Page]:
    from app.gui.data_page.page import DataPage

    return DataPage


def _build() -> type[Page]:
    from app.gui.build_page.page import BuildPage

    return BuildPage


def _train() -> type[Page]:
    from app.gui.train_page.page import TrainPage

    return TrainPage


def _calibrate() -> type[Page]:
    from app.gui.calibrate_page.page import CalibratePage

    return CalibratePage


def _rig() -> type[Page]:
    from app.gui.rig_page.page import RigPage

    return RigPage


PAGES: tuple[PageEntry, ...] = (
    PageEntry(
        title="Data",
        icon_name="data",
        tip="Recordings, datasets and snapshots: find, play, export, keep in order",
        load=_data,
    ),
    PageEntry(
        title="Build",
        icon_name="build",
        tip="Datasets: plan, acquire, import, resume, verify",
        load=_build,
    ),
    PageEntry(
        title="Train",
        icon_name="train",
        tip="Train models, compare them, choose the one in use, compile it",
        load=_train,
    ),
    PageEntry(
        title="Calibrate",
        icon_name="calibrate",
        tip="Measure SLM, camera and fibre; see what still holds; apply it",
        load=_calibrate,
    ),
    PageEntry(
        title="Rig",
        icon_name="rig",
        tip="Recent instruments, set-up, properties of the devices, checks of this computer, drills",
        load=_rig,
    ),
)
_TITLES = [entry.title for entry in PAGES]
#: Numbers of pages on the rail; the live page is number 0.
BUILD: Final = 1 + _TITLES.index("Build")
TRAIN: Final = 1 + _TITLES.index("Train")
RIG: Final = 1 + _TITLES.index("Rig")
