"""The house is in order: rooms, file lengths, versions and dependencies as promised."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("drivers", "acquisition", "calibration", "reconstruction", "app")
LONGEST = 350
MOST_MODULES = 16


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((ROOT / "setup.cfg").read_text(encoding="utf-8"))
    return parser


def requirements() -> dict[str, str]:
    """Name and version of every run-time dependency."""
    lines = setup_cfg()["options"]["install_requires"].split("\n")
    pairs = [line.split("==", 1) for line in lines if line]
    unpinned = [pair[0] for pair in pairs if len(pair) != 2]
    assert not unpinned, f"pin these with == in setup.cfg: {unpinned}"
    return dict(pairs)


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def text_of(name: str) -> str:
    path = ROOT / name
    assert path.is_file(), f"{name} is missing"
    return path.read_text(encoding="utf-8")


def test_top_level_directories_are_the_rooms() -> None:
    leftovers = {"build", "dist", "archive", "demo-out"}  # ignored by git
    found = {
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith((".", "__")) and path.suffix != ".egg-info"
    }
    assert found - leftovers == {*PACKAGES, "tests", "docs"}


def test_tests_mirror_the_rooms() -> None:
    """A test lies where the code that it tests lies; ``tests/helpers`` holds what several tests use."""
    rooms = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").glob("**/test_*.py")}
    strange = [str(room) for room in rooms if not (ROOT / room).is_dir() and room != Path("drivers/hardware")]
    assert not strange, f"no folder of the program has this name: {strange}"


def test_no_folder_is_crowded() -> None:
    crowded = {
        str(folder.relative_to(ROOT)): count
        for package in (*PACKAGES, "tests")
        for folder in [ROOT / package, *(ROOT / package).glob("**/")]
        if (count := sum(path.name != "__init__.py" for path in folder.glob("*.py"))) > MOST_MODULES
    }
    assert not crowded, f"more than {MOST_MODULES} modules in one folder: {crowded}"


def test_every_package_says_what_it_holds() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for folder in [ROOT / package, *(ROOT / package).glob("**/")]
        if any(folder.glob("*.py"))
        and not ((path := folder / "__init__.py").is_file() and path.read_text("utf-8").startswith('"""'))
    ]
    assert not silent, f"add an __init__.py with a docstring: {silent}"


def test_no_file_is_too_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for package in PACKAGES
        for path in (ROOT / package).glob("**/*.py")
    }
    long = "\n".join(f"{name}: {lines} lines" for name, lines in sorted(lengths.items()) if lines > LONGEST)
    assert lengths
    assert not long, f"more than one idea in a file? Split those over {LONGEST} lines:\n{long}"


def test_the_changelog_starts_with_the_version() -> None:
    headings = re.findall(r"^## \[?v?(\d+\.\d+\.\d+)", text_of("CHANGELOG.md"), flags=re.MULTILINE)
    assert headings, "CHANGELOG.md has no heading like '## 0.1.0'"
    assert headings[0] == setup_cfg()["metadata"]["version"]


def test_constraints_agree_with_setup_cfg() -> None:
    lines = [line for line in text_of("constraints.txt").splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "constraints are exact, public versions"
    pinned = {normalised(name): version for name, version in (line.split("==", 1) for line in lines)}
    different = {
        name: (version, pinned.get(normalised(name)))
        for name, version in requirements().items()
        if pinned.get(normalised(name)) != version
    }
    assert not different, f"setup.cfg and constraints.txt disagree (name: setup.cfg, constraints.txt): {different}"


def test_the_readme_names_every_dependency() -> None:
    readme = text_of("README.md").lower()
    missing = [name for name in requirements() if not re.search(rf"(?<![\w-]){re.escape(name.lower())}(?![\w-])", readme)]
    assert not missing, f"README.md says nothing about these dependencies from setup.cfg: {missing}"
