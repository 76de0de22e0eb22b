"""The pages on the rail below the live page, from top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.gui.command import PAGE_COMMANDS, Command
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
    PageEntry(title=Command.DATA_PAGE.value.text, icon_name="data", load=_data),
    PageEntry(title=Command.BUILD_PAGE.value.text, icon_name="build", load=_build),
    PageEntry(title=Command.TRAIN_PAGE.value.text, icon_name="train", load=_train),
    PageEntry(title=Command.CALIBRATE_PAGE.value.text, icon_name="calibrate", load=_calibrate),
    PageEntry(title=Command.RIG_PAGE.value.text, icon_name="rig", load=_rig),
)
#: Numbers of pages on the rail; the live page is number 0.
DATA: Final = PAGE_COMMANDS.index(Command.DATA_PAGE)
BUILD: Final = PAGE_COMMANDS.index(Command.BUILD_PAGE)
TRAIN: Final = PAGE_COMMANDS.index(Command.TRAIN_PAGE)
CALIBRATE: Final = PAGE_COMMANDS.index(Command.CALIBRATE_PAGE)
RIG: Final = PAGE_COMMANDS.index(Command.RIG_PAGE)
