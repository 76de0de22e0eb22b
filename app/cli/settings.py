"""Settings of the commands that come from the environment."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Self

import pydantic
from pydantic_settings import BaseSettings, SettingsConfigDict

from drivers.base import SpeckleScopeError


class LogLevel(StrEnum):
    """The least serious message that is logged to stderr."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


class Settings(BaseSettings):
    """Environment variables; each is named ``SPECKLESCOPE_`` and the field in capitals.

    ``SPECKLESCOPE_CACHE`` is read by :func:`reconstruction.engines.artifacts.cache_folder`, which the Python API uses too.

    Parameters
    ----------
    log : LogLevel
        Messages of this level and of more serious ones are logged.
    log_folder : Path, optional
        Folder for the details of unexpected errors, instead of the system's folder for logs.
    """

    model_config = SettingsConfigDict(env_prefix="SPECKLESCOPE_", frozen=True, extra="ignore")

    log: LogLevel = LogLevel.ERROR
    log_folder: Path | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """Read the environment.

        Raises
        ------
        SpeckleScopeError
            A variable has an impossible value.
        """
        try:
            return cls()
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            name = f"SPECKLESCOPE_{'_'.join(map(str, first['loc'])).upper()}"
            raise SpeckleScopeError(f"{name}={first['input']}: {first['msg']}; change or unset it") from error
