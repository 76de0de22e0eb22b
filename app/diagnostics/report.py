"""The report for whoever helps with a problem: what happened, on which computer, with which settings. It holds no picture."""

from __future__ import annotations

import io
import os
import platform
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import platformdirs

from acquisition.archive.atomic_files import write_bytes
from app.diagnostics.doctor import examine
from app.instrument.config import InstrumentConfig, to_yaml
from drivers.program_version import program_version

_MOST_LOGS: Final = 10
_MOST_LOG_BYTES: Final = 200_000
_HOMES: Final = re.compile(r"(?:[A-Za-z]:)?[/\\](?:home|Users)[/\\][^/\\\s:;,'\"]+")
_SECRET: Final = re.compile(r"(?im)^(\s*[\w-]*(?:password|passwd|secret|token|api_?key)[\w-]*\s*[:=]\s*)\S.*$")
_LOGIN: Final = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True, kw_only=True)
class ReportSource:
    """What a report is made from.

    Parameters
    ----------
    config : InstrumentConfig
        The instrument.
    in_use : bool
        Whether the instrument is open; its devices are then left alone.
    messages : sequence of str
        The messages of this start, each with its time.
    window : mapping
        What the window remembers.
    log_folder : Path
        Where the program stores the details of unexpected errors.
    """

    config: InstrumentConfig
    in_use: bool
    messages: Sequence[str]
    window: Mapping[str, str]
    log_folder: Path


def default_log_folder() -> Path:
    """Return where the program stores the details of unexpected errors."""
    chosen = os.environ.get("SPECKLESCOPE_LOG_FOLDER")
    return Path(chosen) if chosen else platformdirs.user_log_path("specklescope", appauthor=False)


def write_report(path: Path, source: ReportSource) -> None:
    """Write a report, a ZIP file of texts.

    Parameters
    ----------
    path : Path
        The file; it is written completely or not at all.
    source : ReportSource
        What it is made from.

    Raises
    ------
    SpeckleScopeError
        The file cannot be written.
    """
    texts = {
        "messages.txt": _lines(source.messages),
        "doctor.txt": _lines(finding.line for finding in examine(source.config, in_use=source.in_use)),
        "versions.txt": _lines(_versions()),
        "instrument.yaml": to_yaml(source.config),
        "window.txt": _lines(f"{key} = {value}" for key, value in sorted(source.window.items())),
        **_logs(source.log_folder),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, without_names(text))
    write_bytes(path, content.getvalue(), "choose another folder")


def without_names(text: str) -> str:
    """Return a text in which ``~`` stands for home folders, and ``***`` for passwords and the like."""
    home = str(Path.home())
    if len(home) > 1:
        text = text.replace(home, "~")
    return _LOGIN.sub("***@", _SECRET.sub(r"\1***", _HOMES.sub("~", text)))


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _versions() -> list[str]:
    """Return the versions of the program, of Python, of the system, and of every installed library."""
    installed = {(one.name or "?", one.version) for one in metadata.distributions()}
    return [
        f"SpeckleScope {program_version()}",
        f"Python {platform.python_version()}",
        f"System {platform.platform()}",
        "",
        *(f"{name}=={version}" for name, version in sorted(installed, key=str)),
    ]


def _logs(folder: Path) -> dict[str, str]:
    """Return the newest logs of unexpected errors; one that cannot be read says why."""
    texts = {}
    for file in sorted(folder.glob("error-*.log"))[-_MOST_LOGS:]:
        try:
            texts[f"errors/{file.name}"] = file.read_bytes()[:_MOST_LOG_BYTES].decode("utf-8", "replace")
        except OSError as error:
            texts[f"errors/{file.name}"] = f"cannot be read: {error}\n"
    return texts
