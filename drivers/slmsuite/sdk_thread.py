"""slmsuite's classes by name, and a thread for each of its objects, so that every call has a deadline.

A call of slmsuite ends when the vendor's SDK returns, which may be never. A call that hangs is abandoned with its thread, and
the program continues. An SDK that hangs while it holds Python's interpreter lock still stops the whole program.
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
    """Raise ValueError unless ``class_path`` lies within ``slmsuite.hardware``: it comes from a file that others may write."""
    if not _PATH.fullmatch(class_path):
        raise ValueError(f"class_path must be a class such as slmsuite.hardware.cameras.basler.Basler, got {class_path!r}")


def load_class(class_path: str, kind: Literal["Camera", "SLM"]) -> type[Any]:
    """Return one of slmsuite's hardware classes.

    Parameters
    ----------
    class_path : str
        Dotted name, within ``slmsuite.hardware``.
    kind : {"Camera", "SLM"}
        Base class of slmsuite that it must be derived from.

    Raises
    ------
    ValueError
        The name does not lie within ``slmsuite.hardware``.
    DeviceError
        slmsuite is not installed, does not have the class, or the class is of another kind.
    """
    check_class_path(class_path)
    module, _, name = class_path.rpartition(".")
    base = getattr(_import(_KINDS[kind]), kind)
    hardware_class = getattr(_import(module), name, None)
    if not (isinstance(hardware_class, type) and issubclass(hardware_class, base) and hardware_class is not base):
        raise DeviceError(f"{class_path} is not one of slmsuite's {kind} classes; check the name in its documentation")
    return hardware_class


def _import(module: str) -> Any:
    first = "slmsuite" not in sys.modules
    try:
        # slmsuite warns of every optional SDK that is missing.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in ("slmsuite", module):
                loaded = importlib.import_module(name)
    except Exception as error:  # a vendor's SDK may raise any exception while it loads
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing == "slmsuite":
            raise DeviceError(NOT_INSTALLED) from error
        if missing is not None and missing.startswith("slmsuite."):
            raise DeviceError(f"slmsuite has no module {missing}; check the name in its documentation") from error
        raise DeviceError(f"cannot load {module} ({reason_of(error)}); install what it needs") from error
    if first:
        # Importing slmsuite starts a log of its own on stdout. If other code imported it earlier, that log is kept.
        sys.modules["slmsuite"].configure_logging(None)
        log = logging.getLogger("slmsuite")
        log.propagate, log.level = True, logging.WARNING
    return loaded


def reason_of(error: BaseException) -> str:
    """Return the type and the first line of an exception."""
    return " ".join([f"{type(error).__name__}:", *(str(error).strip().splitlines() or ["no reason given"])[0].split()])


class SdkThread:
    """One slmsuite object, and the only thread that makes, calls and closes it.

    Parameters
    ----------
    name : str
        Name for messages, such as "the slmsuite camera Basler".
    make : callable
        Returns the object; called on the thread.
    close : callable
        Called with the object when the thread ends, even if that is late.
    timeout_s : float
        Longest time for ``make``, in seconds.

    Raises
    ------
    DeviceTimeoutError
        ``make`` did not return in time. If it returns later, the object is closed.
    DeviceError
        ``make`` failed.
    """

    def __init__(self, name: str, make: Callable[[], Any], close: Callable[[Any], None], timeout_s: float) -> None:
        self._name = name
        self._make = make
        self._close = close
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[Any], Any]] | None] = SimpleQueue()
        # Not a ThreadPoolExecutor: at exit Python waits for its threads, for ever if one hangs.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        try:
            self.call("open", lambda _: None, timeout_s)
        except DeviceError:
            self.end(0.0)
            raise

    def start(self, function: Callable[[Any], ResultT]) -> Future[ResultT]:
        """Queue a call of ``function`` with the object; return the future of its result."""
        job: Future[ResultT] = Future()
        self._jobs.put((job, function))
        return job

    def call(self, action: str, function: Callable[[Any], ResultT], timeout_s: float) -> ResultT:
        """Call ``function`` with the object and return its result.

        Raises
        ------
        DeviceTimeoutError
            This call, or one before it, did not return within ``timeout_s``.
        DeviceError
            The call failed; ``action`` names it in the message.
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
        """Close the object and end the thread; a call that hangs longer than ``timeout_s`` does both when it returns."""
        self._jobs.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            device, failure = self._make(), None
        except Exception as error:  # noqa: BLE001 - an SDK may raise any exception
            device, failure = None, error
        while entry := self._jobs.get():
            job, function = entry
            try:
                if failure is not None:
                    raise failure
                job.set_result(function(device))
            except BaseException as error:  # noqa: BLE001
                job.set_exception(error)
            # Release the frame or the exception now, not at the next call.
            del entry, job, function
        if failure is None:
            with suppress(Exception):
                self._close(device)


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
