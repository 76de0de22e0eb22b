"""slmsuite at arm's length: its classes by name, and each of its objects on a thread of its own.

slmsuite's calls end when the vendor's SDK lets them, which may be never. Here a call has a deadline: what hangs is left
behind with its thread, and the program goes on. An SDK that hangs with Python's interpreter lock held still stops it all.
"""

from __future__ import annotations

import importlib
import logging
import re
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Literal, TypeVar

from drivers.base import DeviceError, DeviceTimeoutError

Argument = bool | int | float | str | tuple[int | float, ...]
ResultT = TypeVar("ResultT")

NOT_INSTALLED = "slmsuite is not installed; pip install 'specklescope[slmsuite]', then pip install --no-deps slmsuite==0.5.0"
_PATH = re.compile(r"slmsuite\.hardware(\.[a-z]\w*)+\.[A-Za-z]\w*", re.ASCII)
_KINDS = {"Camera": "slmsuite.hardware.cameras.camera", "SLM": "slmsuite.hardware.slms.slm"}


def check_class_path(class_path: str) -> None:
    """Raise ValueError unless ``class_path`` lies within ``slmsuite.hardware``: it comes from a file that people exchange."""
    if not _PATH.fullmatch(class_path):
        raise ValueError(
            f"class_path must be a class such as slmsuite.hardware.cameras.basler.Basler, nowhere else, got {class_path!r}"
        )


def load_class(class_path: str, kind: Literal["Camera", "SLM"]) -> type[Any]:
    """Return one of slmsuite's hardware classes.

    Parameters
    ----------
    class_path : str
        Dotted name, within ``slmsuite.hardware``.
    kind : {"Camera", "SLM"}
        slmsuite's class that it has to be derived from.

    Raises
    ------
    ValueError
        The name lies elsewhere.
    DeviceError
        slmsuite is not installed, has no such class, or it is not one of that kind.
    """
    check_class_path(class_path)
    module, _, name = class_path.rpartition(".")
    base = getattr(_import(_KINDS[kind]), kind)
    found = getattr(_import(module), name, None)
    if not (isinstance(found, type) and issubclass(found, base) and found is not base):
        raise DeviceError(f"{class_path} is not one of slmsuite's {kind} classes; check the name in its documentation")
    return found


def _import(module: str) -> Any:
    first = "slmsuite" not in sys.modules
    try:
        # It warns of every optional SDK that is absent.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in ("slmsuite", module):
                loaded = importlib.import_module(name)
    except Exception as error:  # a vendor's SDK raises anything while it loads
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing == "slmsuite":
            raise DeviceError(NOT_INSTALLED) from error
        if missing is not None and missing.startswith("slmsuite."):
            raise DeviceError(f"slmsuite has no module {missing}; check the name in its documentation") from error
        raise DeviceError(f"cannot load {module} ({reason_of(error)}); install what it needs") from error
    if first:
        # Importing it starts a log on stdout that bypasses ours; whoever set it up before us wanted that.
        sys.modules["slmsuite"].configure_logging(None)
        log = logging.getLogger("slmsuite")
        log.propagate, log.level = True, logging.WARNING
    return loaded


def reason_of(error: BaseException) -> str:
    """Return an exception's first line with its kind, for a message of one line."""
    return " ".join([f"{type(error).__name__}:", *(str(error).strip().splitlines() or ["no reason given"])[0].split()])


class SdkThread:
    """One slmsuite object and the thread that alone makes it, calls it and ends it.

    Parameters
    ----------
    name : str
        For messages, such as "the slmsuite camera Basler".
    make : callable
        Returns the object; called on the thread.
    close : callable
        Takes the object when the thread ends, however late that is.
    timeout_s : float
        Deadline for ``make``.

    Raises
    ------
    DeviceTimeoutError
        ``make`` did not return in time. If it ever does, the object is closed.
    DeviceError
        ``make`` failed.
    """

    def __init__(self, name: str, make: Callable[[], Any], close: Callable[[Any], None], timeout_s: float) -> None:
        self._name, self._make, self._close = name, make, close
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[Any], Any]] | None] = SimpleQueue()
        # Not a ThreadPoolExecutor: Python waits for its threads at exit, for ever if one hangs.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        try:
            self.call("open", lambda _: None, timeout_s)
        except DeviceError:
            self.end(0.0)
            raise

    def start(self, function: Callable[[Any], ResultT]) -> Future[ResultT]:
        """Call ``function`` with the object once all calls before it returned, and return its future result."""
        job: Future[ResultT] = Future()
        self._jobs.put((job, function))
        return job

    def call(self, action: str, function: Callable[[Any], ResultT], timeout_s: float) -> ResultT:
        """Call ``function`` with the object and return its result.

        Raises
        ------
        DeviceTimeoutError
            It, or a call before it, did not return within ``timeout_s``.
        DeviceError
            It failed; ``action`` says what was tried.
        """
        job = self.start(function)
        if not wait([job], timeout_s).done:
            raise DeviceTimeoutError(f"{self._name} did not {action} within {timeout_s:g} s; check power and cable")
        if error := job.exception():
            if isinstance(error, DeviceError):
                raise error
            raise DeviceError(f"{self._name} could not {action}: {reason_of(error)}") from error
        return job.result()

    def end(self, timeout_s: float) -> None:
        """Close the object and end the thread; what hangs longer than ``timeout_s`` is left to do so when it can."""
        self._jobs.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            made, failure = self._make(), None
        except Exception as error:  # noqa: BLE001 - an SDK raises anything
            made, failure = None, error
        while entry := self._jobs.get():
            job, function = entry
            try:
                if failure is not None:
                    raise failure
                job.set_result(function(made))
            except BaseException as error:  # noqa: BLE001
                job.set_exception(error)
            # A frame or an exception must not live until the next call.
            del entry, job, function
        if failure is None:
            with suppress(Exception):
                self._close(made)


def keywords(arguments: Mapping[str, Argument]) -> dict[str, Argument]:
    """Return a copy of constructor arguments; raises ValueError unless they are numbers, texts or lists of numbers."""
    checked: dict[str, Argument] = {}
    for name, value in arguments.items():
        if isinstance(value, list):
            value = tuple(value)
        numbers = isinstance(value, tuple) and all(isinstance(item, int | float) for item in value)
        if not name.isidentifier() or not (numbers or isinstance(value, bool | int | float | str)):
            raise ValueError(f"arguments must be names with numbers, texts or lists of numbers, got {name!r}: {value!r}")
        checked[name] = value
    return checked
