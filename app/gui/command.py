"""The one list of the window's commands, with words, keys and menus; menus, tool tips and the list of keys come from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Menu(Enum):
    """The menus, from left to right."""

    FILE = "&File"
    LIVE = "&Live"
    PAGES = "&Pages"
    VIEW = "&View"
    TOOLS = "&Tools"
    HELP = "&Help"


@dataclass(frozen=True, kw_only=True)
class CommandText:
    """How a command appears.

    Parameters
    ----------
    menu : Menu
        The menu that it is in.
    text : str
        Its words in the menu.
    tip : str
        What it does, in one sentence without a full stop.
    keys : str
        Its shortcut, as Qt writes it; empty for none.
    checkable : bool
        Whether it switches something on and off.
    """

    menu: Menu
    text: str
    tip: str
    keys: str = ""
    checkable: bool = False


class Command(Enum):
    """Everything that the window can be told to do from a menu or by a key; who carries it out is found by ``answers()``."""

    OPEN = CommandText(menu=Menu.FILE, text="Open instrument…", tip="Open another instrument file", keys="Ctrl+O")
    SIMULATED = CommandText(menu=Menu.FILE, text="Open simulated instrument", tip="Open the simulated instrument")
    OPEN_RECORDING = CommandText(
        menu=Menu.FILE, text="Open recording…", tip="Play a recording or a dataset as if it came from the camera"
    )
    SETUP = CommandText(
        menu=Menu.FILE,
        text="Set up instrument…",
        tip="Choose camera and SLM, test them, and write the instrument file: the Rig page",
    )
    QUIT = CommandText(menu=Menu.FILE, text="Quit", tip="Finish recordings and exports, then end the program", keys="Ctrl+Q")
    TOGGLE_LIVE = CommandText(menu=Menu.LIVE, text="Start or stop live view", tip="Start or stop the live view", keys="Space")
    RECORD = CommandText(menu=Menu.LIVE, text="Record", tip="Start or stop recording every camera frame without loss", keys="R")
    MARK = CommandText(
        menu=Menu.LIVE, text="Add marker", tip="Mark this moment of the recording, with the text in the Record panel", keys="M"
    )
    SNAPSHOT = CommandText(
        menu=Menu.LIVE, text="Snapshot", tip="Save frame, phase and labels of the present view as files", keys="S"
    )
    EXPORT = CommandText(menu=Menu.LIVE, text="Export last recording", tip="Export the last recording", keys="E")
    EXPORT_AS = CommandText(
        menu=Menu.LIVE,
        text="Export last recording as…",
        tip="Choose formats, layers, range and films for the last recording",
        keys="Shift+E",
    )
    RETUNE = CommandText(
        menu=Menu.LIVE, text="Re-tune", tip="Measure a new reference and probe patterns after the fibre has moved", keys="T"
    )
    NEW_SAMPLE = CommandText(
        menu=Menu.LIVE,
        text="New sample",
        tip="Draw the phase from other noise, with models that draw samples",
        keys="Shift+N",
    )
    LIVE_PAGE = CommandText(menu=Menu.PAGES, text="Live", tip="Live view, recording and measurements", keys="Alt+1")
    DATA_PAGE = CommandText(
        menu=Menu.PAGES,
        text="Data",
        tip="Recordings, datasets and snapshots: find, play, export, keep in order",
        keys="Alt+2",
    )
    BUILD_PAGE = CommandText(menu=Menu.PAGES, text="Build", tip="Datasets: plan, acquire, import, resume, verify", keys="Alt+3")
    TRAIN_PAGE = CommandText(
        menu=Menu.PAGES, text="Train", tip="Train models, compare them, choose the one in use, compile it", keys="Alt+4"
    )
    CALIBRATE_PAGE = CommandText(
        menu=Menu.PAGES, text="Calibrate", tip="Measure SLM, camera and fibre; see what still holds; apply it", keys="Alt+5"
    )
    RIG_PAGE = CommandText(
        menu=Menu.PAGES,
        text="Rig",
        tip="Recent instruments, set-up, properties of the devices, checks of this computer, drills",
        keys="Alt+6",
    )
    FIT = CommandText(menu=Menu.VIEW, text="Show whole field", tip="Show the whole field in every picture", keys="F")
    FULL_SCREEN = CommandText(menu=Menu.VIEW, text="Full screen", tip="Show the window on the whole screen", keys="F11")
    LIGHT_THEME = CommandText(
        menu=Menu.VIEW,
        text="Light theme",
        tip="Use light colours, for a bright room; pictures stay on dark ground",
        keys="Ctrl+L",
        checkable=True,
    )
    DESKTOP_THEME = CommandText(
        menu=Menu.VIEW,
        text="Theme of the desktop",
        tip="Be light or dark as the desktop is, and change with it",
        checkable=True,
    )
    RECORD_PANEL = CommandText(menu=Menu.VIEW, text="Record panel", tip="Show or hide how recordings are made", keys="F2")
    CAMERA_PANEL = CommandText(menu=Menu.VIEW, text="Camera panel", tip="Show or hide the camera's settings", keys="F3")
    MEASURE_PANEL = CommandText(menu=Menu.VIEW, text="Measure panel", tip="Show or hide measurements", keys="F4")
    SLM_PANEL = CommandText(menu=Menu.VIEW, text="SLM panel", tip="Show or hide what the SLM shows", keys="F5")
    PRESETS_PANEL = CommandText(
        menu=Menu.VIEW, text="Presets", tip="Show or hide the presets: named states of the live page", keys="F6"
    )
    LATENCY_PANEL = CommandText(
        menu=Menu.VIEW,
        text="Latency panel",
        tip="Show or hide the time of every stage, and the loop-back measurement",
        keys="F7",
    )
    CELLS_PANEL = CommandText(
        menu=Menu.VIEW, text="Cells panel", tip="Show or hide the cells: their numbers, and how they are labelled", keys="F9"
    )
    DRAWER = CommandText(menu=Menu.VIEW, text="Jobs and messages", tip="Show or hide jobs and messages", keys="F8")
    ACQUIRE = CommandText(menu=Menu.TOOLS, text="Acquire dataset", tip="Show the Build page: acquire, import, resume, verify")
    TRAIN = CommandText(menu=Menu.TOOLS, text="Train model…", tip="Train a model for this fibre and follow its progress")
    GUIDE = CommandText(menu=Menu.HELP, text="Guide", tip="Show the first steps, on the simulated instrument")
    SAVE_REPORT = CommandText(
        menu=Menu.HELP,
        text="Save report…",
        tip="Save messages, checks, versions and settings in a file, for whoever helps you; no pictures",
    )
    DISMISS = CommandText(
        menu=Menu.HELP, text="Dismiss message", tip="Leave an input field, or dismiss the message", keys="Esc"
    )
    KEYS = CommandText(menu=Menu.HELP, text="Keys", tip="Show all keys", keys="?")
    ABOUT = CommandText(menu=Menu.HELP, text="About SpeckleScope", tip="Show version, instrument and model", keys="F1")


#: The commands that show the pages of the rail, from top to bottom.
PAGE_COMMANDS = tuple(command for command in Command if command.value.menu is Menu.PAGES)
