"""The pages on the rail below the live page, from top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.gui.command import Command
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
        title=Command.DATA_PAGE.value.text,
        icon_name="data",
        tip=Command.DATA_PAGE.value.tip,
        load=_data,
    ),
    PageEntry(
        title=Command.BUILD_PAGE.value.text,
        icon_name="build",
        tip=Command.BUILD_PAGE.value.tip,
        load=_build,
    ),
    PageEntry(
        title=Command.TRAIN_PAGE.value.text,
        icon_name="train",
        tip=Command.TRAIN_PAGE.value.tip,
        load=_train,
    ),
    PageEntry(
        title=Command.CALIBRATE_PAGE.value.text,
        icon_name="calibrate",
        tip=Command.CALIBRATE_PAGE.value.tip,
        load=_calibrate,
    ),
    PageEntry(
        title=Command.RIG_PAGE.value.text,
        icon_name="rig",
        tip=Command.RIG_PAGE.value.tip,
        load=_rig,
    ),
)
_TITLES = [entry.title for entry in PAGES]
#: Numbers of pages on the rail; the live page is number 0.
DATA: Final = 1 + _TITLES.index("Data")
BUILD: Final = 1 + _TITLES.index("Build")
TRAIN: Final = 1 + _TITLES.index("Train")
CALIBRATE: Final = 1 + _TITLES.index("Calibrate")
RIG: Final = 1 + _TITLES.index("Rig")
