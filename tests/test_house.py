"""The house is in order: rooms, versions, dependencies and the README's map, as promised."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from drivers import limits

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("specklescope", "drivers", "acquisition", "calibration", "reconstruction", "app")
MOST_MODULES = 16
MOST_ROWS = 15


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((ROOT / "setup.cfg").read_text(encoding="utf-8"))
    return parser


def requirements() -> list[Requirement]:
    """Every run-time dependency, with its range."""
    return [Requirement(line) for line in setup_cfg()["options"]["install_requires"].split("\n") if line]


def extras() -> list[Requirement]:
    """Every dependency of the extras that constraints.txt covers."""
    options = setup_cfg()["options.extras_require"]
    names = ("test", "bench", "docs", "papers", "sam", "slmsuite")
    return [Requirement(line) for name in names for line in options[name].split("\n") if line]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def text_of(name: str) -> str:
    path = ROOT / name
    assert path.is_file(), f"{name} is missing"
    return path.read_text(encoding="utf-8")


def test_top_level_directories_are_the_rooms() -> None:
    leftovers = {"build", "dist", "site", "archive", "demo-out"}  # ignored by git
    folders = {
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith((".", "__")) and path.suffix != ".egg-info"
    }
    assert folders - leftovers == {*PACKAGES, "tests", "docs"}


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


def test_the_changelog_starts_with_the_version_that_setup_py_names() -> None:
    headings = re.findall(r"^## \[?v?(\d+\.\d+\.\d+)", text_of("CHANGELOG.md"), flags=re.MULTILINE)
    named = re.search(r'^NEXT_VERSION = "([\d.]+)"', text_of("setup.py"), flags=re.MULTILINE)
    assert headings, "CHANGELOG.md has no heading like '## 0.1.0'"
    assert named
    assert headings[0] == named[1]


def test_every_range_has_two_ends_and_holds_the_exact_version() -> None:
    lines = [line for line in text_of("constraints.txt").splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "constraints are exact, public versions"
    pinned = {normalised(name): version for name, version in (line.split("==", 1) for line in lines)}
    missing = [each.name for each in [*requirements(), *extras()] if normalised(each.name) not in pinned]
    assert not missing, f"constraints.txt has no exact version of {missing}"
    outside = {
        str(each): pinned[normalised(each.name)]
        for each in [*requirements(), *extras()]
        if not each.specifier.contains(pinned[normalised(each.name)])
    }
    assert not outside, f"constraints.txt is outside the ranges of setup.cfg: {outside}"
    open_below = [str(each) for each in requirements() if not any(part.operator == ">=" for part in each.specifier)]
    assert not open_below, f"say the lowest version that was tried: {open_below}"


def test_the_readme_names_every_dependency() -> None:
    readme = text_of("README.md").lower()
    names = [each.name for each in requirements()]
    missing = [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name.lower())}(?![\w-])", readme)]
    assert not missing, f"README.md says nothing about these dependencies from setup.cfg: {missing}"


def test_the_readme_needs_few_rows_to_say_where_things_are() -> None:
    _, _, rest = text_of("README.md").partition("## Where is ...?")
    rows = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    assert 2 < len(rows) <= MOST_ROWS + 1, "names, not rows, have to tell where things are"  # the heading is a row too
    paths = [path for row in rows for path in re.findall(r"`([\w./]+(?:/|\.py))`", row)]
    assert paths
    absent = [path for path in paths if not (ROOT / path).exists()]
    assert not absent, f"README.md names what is not there: {absent}"


@pytest.mark.parametrize("page", ["docs/promises.md", "docs/field_cases.md", "docs/features.md", "docs/compare.md"])
def test_every_promise_and_situation_names_tests_that_exist(page: str) -> None:
    text = text_of(page)
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 20
    missing = [f"{path}::{name}" for path, name in named if not (ROOT / path).is_file() or f"def {name}" not in text_of(path)]
    assert not missing, f"{page} names tests that do not exist: {missing}"


def test_every_situation_of_other_laboratories_has_a_test() -> None:
    rows = [line for line in text_of("docs/field_cases.md").splitlines() if line.startswith("| ")]
    untested = [row for row in rows if "`tests/" not in row and not row.endswith("| tests |")]
    assert len(rows) > 40
    assert not untested


def test_every_task_of_other_programs_has_a_page_with_its_test_or_a_reason() -> None:
    rows = [line.strip("| ").split(" | ") for line in text_of("docs/compare.md").splitlines() if line.count(" | ") == 5]
    tasks = [row for row in rows if row[0] != "task"]
    page = re.compile(r"(Every page|Live|Data|Build|Train|Calibrate|Rig)\b.*`tests/|not here: \w")
    assert len(tasks) >= 40
    assert all(len(row) == 6 and all(row) for row in rows), "a cell is empty: write what is there, or -"
    assert not [row[0] for row in tasks if not page.match(row[1])]


def test_the_programs_that_were_tried_have_the_versions_that_make_installs() -> None:
    page = text_of("docs/formats.md")
    lines = [line for line in text_of(".ci/readers.txt").splitlines() if not line.startswith("#")]
    absent = [line for line in lines if line.replace("==", " ") not in page]
    assert lines
    assert not absent, f"docs/formats.md does not name {absent}"


def test_the_program_can_be_cited() -> None:
    """CITATION.cff has what its format, version 1.2.0, requires, and agrees with setup.cfg."""
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert all("name" in author or "family-names" in author for author in citation["authors"])
    assert setup_cfg()["metadata"]["license"].startswith(citation["license"])


def test_every_limit_of_a_reader_is_stated_with_its_value() -> None:
    units = {"MiB": 2**20, "GiB": 2**30}
    stated: dict[str, float] = {}
    for name, number, unit in re.findall(r"\| `(MAX_\w+)` \| ([\d,]+)(?: (\w+))? \|", text_of("docs/promises.md")):
        stated[name] = float(number.replace(",", "")) * units.get(unit, 1)
    assert stated == {name: value for name, value in vars(limits).items() if name.startswith("MAX_")}
