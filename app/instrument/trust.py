"""What an instrument file wants to run or to connect to, and whether the person at this computer has allowed it.

An instrument file may come from somebody else. It may name a program, a folder with code, an address, a pickle, or texts for a
maker's class, which may be libraries or addresses. Such a value acts only after consent for exactly this value. Consent is kept
in the configuration folder of the person's account, one file for each value, and never beside an instrument file.

Consent to a program or a folder also keeps the SHA-256 of what lies there: a path that others can write to may hold something
else tomorrow. So an updated interpreter asks once again. Of a folder, the files count that Python or the system can load.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

from acquisition.archive.atomic_files import write_whole
from app.instrument.config import InstrumentConfig
from app.instrument.kinds import CameraKind, SlmKind
from drivers.base import SpeckleScopeError
from drivers.displays.slmpy_local import SlmPyWindowConfig
from drivers.limits import MAX_CODE_BYTES, MAX_CODE_FILES, LimitError
from drivers.safe_text import parse_json
from drivers.slmsuite.camera import SlmsuiteCameraConfig
from drivers.slmsuite.slm import SlmsuiteSlmConfig
from drivers.visible_text import visible

#: Files that Python or the system can load as code.
_CODE = (".py", ".pyc", ".pyd", ".so", ".dll", ".dylib")
_REMEDY = "check the folder's permissions; consent is kept there"


class TrustError(SpeckleScopeError):
    """An instrument file wants to run or to connect to something that nobody has allowed."""


@dataclass(frozen=True, kw_only=True)
class TrustRequest:
    """One value of an instrument file that acts only after consent.

    Parameters
    ----------
    key : str
        Its name in the file, such as ``slmpy_window.python``.
    purpose : str
        What the program would do with it: "run the program".
    value : str
        The absolute path of a program or folder, an address, or a text. Links are kept: the path of a virtual environment's
        interpreter says which packages it loads.
    is_path : bool
        Whether the value is a path, so that what lies there counts too.
    """

    key: str
    purpose: str
    value: str
    is_path: bool = False

    def __str__(self) -> str:
        target = os.path.realpath(self.value) if self.is_path else self.value
        link = f", a link to {visible(target)}" if target != self.value else ""
        return f"{self.purpose} {visible(self.value)} ({self.key}{link})"

    def facts(self) -> dict[str, str]:
        """Return everything that has to be the same tomorrow for the consent to hold.

        Raises
        ------
        TrustError
            The folder holds more code than is examined, or cannot be read.
        """
        facts = {"key": self.key, "value": self.value}
        # Texts for a maker's class are often paths of libraries.
        if self.is_path or Path(self.value).is_absolute():
            facts |= {"target": os.path.realpath(self.value), "sha256": _digest(Path(self.value))}
        return facts


def trust_requests(config: InstrumentConfig, *, chosen: bool = True) -> list[TrustRequest]:
    """Return what an instrument wants to run or to connect to; values that the program itself proposes need no consent.

    Parameters
    ----------
    config : InstrumentConfig
        The instrument.
    chosen : bool
        Whether only the chosen camera and SLM count, or the settings of all others too.
    """
    requested: list[TrustRequest] = []
    for kind, requests in _OF_CAMERA.items():
        requested += requests(config) if not chosen or kind is config.camera else ()
    for slm, requests in _OF_SLM.items():
        requested += requests(config) if not chosen or slm is config.slm else ()
    return [*requested, *_of_segmentation(config)]


def not_trusted(config: InstrumentConfig) -> list[TrustRequest]:
    """Return the requests of the chosen devices that nobody has allowed."""
    return [request for request in trust_requests(config) if not is_trusted(request)]


def check_trust(config: InstrumentConfig) -> None:
    """Raise TrustError unless everything that the chosen devices run or connect to was allowed."""
    if missing := not_trusted(config):
        file = visible(str(config.file or "the instrument file"))
        wanted = "; ".join(map(str, missing))
        command = f"specklescope trust {file if config.file else 'FILE'}"
        raise TrustError(f"{file} wants to {wanted}, which is not allowed yet; if you know it, allow it with: {command}")


def trust(requests: Iterable[TrustRequest]) -> None:
    """Remember the consent of the person at this computer.

    Raises
    ------
    TrustError
        It cannot be written, or a folder holds more code than is examined.
    """
    for request in requests:
        write_whole(_file(request), json.dumps(request.facts(), indent=2) + "\n", _REMEDY, TrustError)


def is_trusted(request: TrustRequest) -> bool:
    """Whether exactly this was allowed; raises TrustError as :meth:`TrustRequest.facts` does."""
    try:
        stored = parse_json(_file(request).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(stored == request.facts())


def trust_folder() -> Path:
    """Return the folder in which consent is kept."""
    return platformdirs.user_config_path("specklescope", appauthor=False) / "trusted"


def runnable(config: SlmPyWindowConfig) -> SlmPyWindowConfig:
    """Return an slmPy window with absolute paths, so that what runs is what was allowed."""
    folder = str(Path(config.slmpy_path).absolute()) if config.slmpy_path else ""
    return replace(config, python=_program(config.python), slmpy_path=folder)


def _file(request: TrustRequest) -> Path:
    name = hashlib.sha256(json.dumps([request.key, request.value]).encode()).hexdigest()
    return trust_folder() / f"{name[:32]}.json"


def _program(name: str) -> str:
    """Return the absolute path of a program, or its name if there is none."""
    return str(Path(place).absolute()) if (place := shutil.which(name)) else name


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of all code in a folder; empty if there is nothing."""
    digest, total = hashlib.sha256(), 0
    try:
        if path.is_file():
            return _file_digest(path)
        for count, file in enumerate(_code_files(path)):
            total += file.stat().st_size
            if count >= MAX_CODE_FILES or total > MAX_CODE_BYTES:
                raise LimitError(
                    f"{path} holds more code than the {MAX_CODE_FILES} files or {MAX_CODE_BYTES} bytes that are examined; "
                    "name the folder itself that is needed"
                )
            digest.update(f"{file.relative_to(path).as_posix()}\0{_file_digest(file)}\0".encode())
    except OSError as error:
        raise TrustError(f"cannot read {path}: {error.strerror or error}; check its permissions") from error
    except LimitError as error:
        raise TrustError(str(error)) from error
    return digest.hexdigest() if total else ""


def _code_files(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder that can be loaded, in a fixed order; links to folders count as what they lead to."""
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        # Python's own cache is not read from such a folder, see drivers/displays/slmpy_window.py.
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _code_files(entry)
        elif entry.suffix.lower() in _CODE and entry.is_file():
            yield entry
        elif entry.is_dir():
            raise LimitError(f"{entry} is a link to a folder; replace it by a copy of what it stands for")


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_slmpy(config: InstrumentConfig) -> Iterator[TrustRequest]:
    if not ipaddress.IPv4Address(config.slmpy.host).is_loopback:
        yield TrustRequest(
            key="slmpy.host", purpose="send patterns to the computer", value=f"{config.slmpy.host}:{config.slmpy.port}"
        )


def _of_slmpy_window(config: InstrumentConfig) -> Iterator[TrustRequest]:
    window = runnable(config.slmpy_window)
    # A program that is not there cannot run; the driver says so.
    if config.slmpy_window.python != SlmPyWindowConfig().python and Path(window.python).is_absolute():
        yield TrustRequest(key="slmpy_window.python", purpose="run the program", value=window.python, is_path=True)
    if window.slmpy_path:
        yield TrustRequest(
            key="slmpy_window.slmpy_path", purpose="run code from the folder", value=window.slmpy_path, is_path=True
        )


def _of_slmsuite(config: InstrumentConfig) -> Iterator[TrustRequest]:
    return _texts("slmsuite_slm", config.slmsuite_slm)


def _of_slmsuite_camera(config: InstrumentConfig) -> Iterator[TrustRequest]:
    return _texts("slmsuite_camera", config.slmsuite_camera)


def _of_segmentation(config: InstrumentConfig) -> Iterator[TrustRequest]:
    weights = config.segmentation.weights
    if config.segmentation.allow_pickle and weights is not None:
        # An address and no path: only tensors are read from the pickle, so new weights in this place need no new consent.
        yield TrustRequest(
            key="segmentation.weights", purpose="read weights from the pickle", value=weights.absolute().as_uri()
        )


def _texts(section: str, device: SlmsuiteSlmConfig | SlmsuiteCameraConfig) -> Iterator[TrustRequest]:
    for name, value in device.arguments.items():
        if isinstance(value, str) and value:
            purpose = f"start {device.class_path or 'a class of slmsuite'} with"
            yield TrustRequest(key=f"{section}.arguments.{name}", purpose=purpose, value=value)


_Requests = Callable[[InstrumentConfig], Iterator[TrustRequest]]
_OF_CAMERA: Mapping[CameraKind, _Requests] = {CameraKind.SLMSUITE: _of_slmsuite_camera}
_OF_SLM: Mapping[SlmKind, _Requests] = {
    SlmKind.SLMPY: _of_slmpy,
    SlmKind.SLMPY_WINDOW: _of_slmpy_window,
    SlmKind.SLMSUITE: _of_slmsuite,
}
