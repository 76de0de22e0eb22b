"""The command ``specklescope``: reads the command line, runs a command, and ends with an exit status."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from cyclopts import App, CycloptsError

from app.child_processes import keep_working_folder_off_path
from app.cli.commands.acquire import acquire
from app.cli.commands.bench import bench
from app.cli.commands.calibrate import calibrate
from app.cli.commands.certify import certify
from app.cli.commands.compile import compile_model
from app.cli.commands.demo import demo
from app.cli.commands.doctor import doctor, trust
from app.cli.commands.evaluate import evaluate
from app.cli.commands.export import export
from app.cli.commands.gui import gui
from app.cli.commands.hologram import hologram
from app.cli.commands.import_pairs import import_pairs
from app.cli.commands.live import live, record
from app.cli.commands.reconstruct import reconstruct
from app.cli.commands.train import train
from app.cli.commands.twin_statistics import twin_statistics
from app.cli.unexpected import is_explained, leaves, report
from app.malloc_tuning import keep_freed_memory
from app.signals import InterruptionError, StopRequest, interruptible
from drivers.base import SpeckleScopeError
from drivers.program_version import program_version
from drivers.visible_text import visible


class ExitStatus(IntEnum):
    """What the shell gets."""

    OK = 0
    FAILED = 1
    #: The command line is wrong.
    USAGE = 2


app = App(
    name="specklescope",
    help="Run a lensless multi-core-fibre endoscope: acquire speckle/phase pairs, train, watch live, record, export.",
    version=program_version,
    help_format="plaintext",
)
for command in (
    acquire, bench, calibrate, certify, demo, doctor, evaluate, export, gui, hologram, live, reconstruct, record, train,
    trust, twin_statistics,
):  # fmt: skip
    app.command(command)
app.command(compile_model, name="compile")
app.command(import_pairs, name="import")


def main(argv: Sequence[str] | None = None, held: StopRequest | None = None) -> None:
    """Run a command; end the process with an :class:`ExitStatus`, or with 130 after SIGINT and 143 after SIGTERM.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process when None.
    held : StopRequest, optional
        A signal that came while the program was imported.
    """
    keep_freed_memory()
    keep_working_folder_off_path()
    _replace_what_the_terminal_cannot_show()
    try:
        with interruptible(held):
            _log()
            app(
                [_with_home(argument) for argument in (sys.argv[1:] if argv is None else argv)],
                exit_on_error=False,
                print_error=False,
            )
    except InterruptionError as interruption:
        _fail(str(interruption), interruption.exit_code)
    except CycloptsError as error:
        _fail(str(error), ExitStatus.USAGE)
    except SpeckleScopeError as error:
        _fail(str(error), ExitStatus.FAILED)
    except ExceptionGroup as group:
        text = "; ".join(map(str, leaves(group))) if is_explained(group) else report(group)
        _fail(text, ExitStatus.FAILED)
    except OSError as error:
        text = f"{error.filename or 'the system'}: {error.strerror or error}; check path, permissions and free space"
        _fail(text, ExitStatus.FAILED)
    except Exception as error:  # the last resort: nothing below foresaw this
        _fail(report(error), ExitStatus.FAILED)


def _replace_what_the_terminal_cannot_show() -> None:
    """Print "?" for a character that the encoding of the output lacks, instead of failing after the work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _with_home(argument: str) -> str:
    """Replace "~/" at the beginning of a path, or of the value of an option, by the home folder; shells leave the latter."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return f"{option}{equals}{Path(value).expanduser()}" if value.startswith(("~/", "~\\")) else argument


def _log() -> None:
    from app.cli.settings import Settings

    level = Settings.from_environment().log
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    # What the acquisition warns of is for the operator; other warnings are for programmers.
    acquisition = logging.getLogger(f"{__name__.removesuffix('app.cli.main')}acquisition")
    acquisition.setLevel(min(logging.WARNING, logging.getLevelNamesMapping()[level]))


def _fail(text: str, status: int) -> NoReturn:
    print(f"specklescope: {visible(' '.join(text.split()))}", file=sys.stderr)
    raise SystemExit(status)
