"""Hostile YAML and JSON are refused before they fill memory or exhaust the stack; harmless files read as before."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from acquisition.archive.reader import Archive
from acquisition.archive.rows import StorageError
from acquisition.capture.plan import PlanError, read_plan
from app.instrument.config import ConfigError, load_config
from calibration.stored import CalibrationError, load
from drivers.limits import MAX_YAML_BYTES
from drivers.safe_text import UnsafeYamlError, dump_yaml, parse_json, parse_yaml, read_handwritten_yaml, read_yaml
from reconstruction.base import ReconstructionError
from reconstruction.models.model import CARD, WEIGHTS, load_model
from tests.test_house import PACKAGES

#: Nine levels of nine aliases stand for 9**9 values in 400 bytes.
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 9)
)
#: Each alias lies one level deeper than the one before.
LADDER = "a0: &a0 [x]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}]\n" for k in range(1, 2000))
HOSTILE = {
    "bomb": (BOMB, "aliases"),
    "merged bomb": (BOMB.replace("[x, x", "[{x: 1}, {x: 1}") + "all: {<<: *a8}\n", "aliases"),
    "ladder of aliases": (LADDER, "deep|levels"),
    "cycle": ("a: &a [*a]\n", "part of itself"),
    "nested lists": ("[" * 5000 + "]" * 5000, "nested"),
    "nested mappings": ("{a: " * 5000 + "1" + "}" * 5000, "nested"),
    "long number": ("a: " + "9" * 5000 + "\n", "digits"),
    "key twice": ("a: 1\nb: {c: 1, d: 2, c: 3}\n", "key 'c' stands twice, in line 2 and in line 2"),
    "python object": ("a: !!python/object/apply:os.system [id]\n", "could not determine a constructor"),
}


@pytest.mark.parametrize(("text", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_yaml_is_refused(text: str, reason: str) -> None:
    with pytest.raises(yaml.YAMLError, match=reason):
        parse_yaml(text)


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_YAML_BYTES + 1)
    with pytest.raises(UnsafeYamlError, match=f"more than {MAX_YAML_BYTES} bytes"):
        read_yaml(path)


def test_harmless_yaml_reads_as_before() -> None:
    shared = [1, 2.5]
    content = {"a": shared, "b": shared, "c": {"d": "é", "e": None, "f": True}}
    assert "*id001" in yaml.safe_dump(content), "our own files may have aliases too"
    assert parse_yaml(yaml.safe_dump(content)) == content
    assert parse_yaml("") is None


def test_every_reader_of_yaml_refuses_a_bomb_with_its_name(tmp_path: Path) -> None:
    for name in ("plan.yaml", "metadata.yaml", "calibration.yaml", CARD):
        (tmp_path / name).write_text(BOMB)
    (tmp_path / WEIGHTS).touch()
    with pytest.raises(PlanError, match=r"plan\.yaml.*aliases"):
        read_plan(tmp_path / "plan.yaml")
    with pytest.raises(ConfigError, match=r"plan\.yaml.*aliases"):
        load_config(tmp_path / "plan.yaml")
    with pytest.raises(StorageError, match="aliases"):
        Archive.open(tmp_path)
    with pytest.raises(CalibrationError, match="aliases"):
        load(tmp_path, "camera")
    with pytest.raises(ReconstructionError, match=rf"{CARD}.*aliases"):
        load_model(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '{"a": ' * 200 + "1" + "}" * 200, "[" * 60 + "]" * 60])
def test_nested_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nested more than 50 deep"):
        parse_json(text)


def test_harmless_json_reads_as_before() -> None:
    assert parse_json('{"a": [1, {"b": null}], "c": "[[[["}') == {"a": [1, {"b": None}], "c": "[[[["}
    assert parse_json("[" * 50 + "]" * 50) is not None
    with pytest.raises(ValueError, match="Expecting value"):
        parse_json("")


def test_no_other_module_parses_yaml() -> None:
    root = Path(__file__).parents[2]
    files = [path for room in PACKAGES for path in (root / room).rglob("*.py")]
    assert len(files) > 100
    calls = re.compile(r"\byaml\.(safe_|full_|unsafe_)?load(_all)?\(")
    assert not [str(path.relative_to(root)) for path in files if calls.search(path.read_text("utf-8"))]


@pytest.mark.parametrize(
    ("text", "reason"), [("a: 1" + ":59" * 5000 + "\n", "digits"), ("a: 2026-02-31\n", "impossible value")]
)
def test_values_of_yaml_1_1_that_no_number_or_date_can_be_are_refused(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UnsafeYamlError, match=reason):
        read_yaml(tmp_path / "a.yaml")
    assert isinstance(parse_yaml(text)["a"], str), "people mean a text by it"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("2E5", 2e5),
        ("-1.5e+2", -150.0),
        (".5", 0.5),
        ("12", 12),
        ("+3", 3),
        ("007", "007"),
        ("00.5", "00.5"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("off", "off"),
        ("true", True),
        ("~", "~"),
        ("null", None),
        ("", None),
        ("2026-11-29", "2026-11-29"),
    ],
)
def test_what_people_write_means_what_it_looks_like(text: str, value: object) -> None:
    read = parse_yaml(f"key: {text}")["key"]
    assert (read, type(read)) == (value, type(value))


PLAIN = st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False) | st.text(max_size=12)
TRICKY = st.from_regex(r"[-+]?[0-9_.:eExXo~]{1,8}", fullmatch=True) | st.sampled_from(
    ["no", "~", "null", "<<", "=", "yes", "0o7"]
)


@given(st.recursive(PLAIN | TRICKY, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TRICKY, inner, max_size=3)))
def test_what_is_dumped_reads_back_by_both_sets_of_rules(value: object) -> None:
    text = dump_yaml({"key": value})
    assert parse_yaml(text) == yaml.safe_load(text) == {"key": value}


def test_an_old_file_with_an_unquoted_hash_keeps_its_text(tmp_path: Path) -> None:
    """Version 0.1.0 wrote such hashes without quotes."""
    (tmp_path / "a.yaml").write_text("plan_hash: 1234567890123e45\n")
    assert read_yaml(tmp_path / "a.yaml") == {"plan_hash": "1234567890123e45"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read_in_every_encoding_that_its_first_bytes_tell(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("name: B\N{LATIN SMALL LETTER A WITH DIAERESIS}nk\n".encode(encoding))
    assert read_handwritten_yaml(tmp_path / "a.yaml") == {"name": "B\N{LATIN SMALL LETTER A WITH DIAERESIS}nk"}


def test_a_file_in_another_encoding_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("source: cells\n# \N{LATIN SMALL LETTER A WITH DIAERESIS}\n".encode("cp1252"))
    with pytest.raises(ConfigError, match=r"cannot read .*a\.yaml.*save the file as UTF-8"):
        load_config(tmp_path / "a.yaml")
    with pytest.raises(PlanError, match="save the file as UTF-8"):
        read_plan(tmp_path / "a.yaml")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfname: bench\n")
    assert read_handwritten_yaml(tmp_path / "a.yaml") == {"name": "bench"}
