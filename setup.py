"""How a wheel is laid out: everything beneath ``specklescope``, so that no lab's own ``drivers.py`` can hide ours.

Metadata are in setup.cfg. An editable installation keeps the folders as they are. Tags give the version.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

if TYPE_CHECKING:
    from setuptools_scm import ScmVersion

FOLDERS = ("app", "reconstruction", "calibration", "acquisition", "drivers")
#: The version where no tag tells it: what is being worked on.
NEXT_VERSION = "0.2.0"
_IMPORT = re.compile(rf"^(\s*(?:from|import) )(?=(?:{'|'.join(FOLDERS)})\b)", re.MULTILINE)


class BuildPy(build_py):
    """Lays the folders beneath ``specklescope``, with their imports; line numbers stay."""

    def run(self) -> None:
        """Build."""
        home = Path(self.build_lib) / "specklescope"
        if not self.editable_mode:
            shutil.rmtree(home, ignore_errors=True)  # an earlier build may hold modules that have gone since
        super().run()
        if self.editable_mode:
            return
        for folder in FOLDERS:
            shutil.move(Path(self.build_lib) / folder, home / folder)
        for file in home.rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            file.write_text(_IMPORT.sub(r"\1specklescope.", text), encoding="utf-8")


class EggInfo(egg_info):
    """Says that ``specklescope`` is the only name at the top."""

    def run(self) -> None:
        """Write the metadata."""
        super().run()
        (Path(self.egg_info) / "top_level.txt").write_text("specklescope\n", encoding="utf-8")


def version_of(version: ScmVersion) -> str:
    """Return the tag's version, or the next one's development version after it or where there is no tag."""
    if version.exact:
        return str(version.format_with("{tag}"))
    return f"{NEXT_VERSION}.dev{version.distance or 0}"


def _scm() -> dict[str, Any]:
    return {"version_scheme": version_of, "fallback_version": NEXT_VERSION, "root": str(Path(__file__).resolve().parent)}


setup(cmdclass={"build_py": BuildPy, "egg_info": EggInfo}, use_scm_version=_scm)
