"""Manifests: readable by sha256sum, and nothing of a folder or file can change unnoticed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from drivers.limits import LimitError
from drivers.manifest import (
    MANIFEST,
    content_problem,
    file_problem,
    manifest_of,
    manifest_text,
    missing_files,
    read_manifest,
    replacing_text,
    sha256_of,
)


def write_folder(folder: Path) -> dict[str, str]:
    (folder / "input").mkdir()
    files = [folder / "input" / "a b.png", folder / "µ.yaml"]
    for file in files:
        file.write_text(file.name, "utf-8")
    digests = {file.relative_to(folder).as_posix(): sha256_of(file) for file in files}
    (folder / MANIFEST).write_text(manifest_text(digests), "utf-8")
    return digests


def test_a_manifest_reads_back(tmp_path: Path) -> None:
    digests = write_folder(tmp_path)
    assert read_manifest(tmp_path) == digests
    for name in digests:
        assert content_problem(name, (tmp_path / name).read_bytes(), digests) == ""
        assert f"{name} differs from its SHA-256" in content_problem(name, b"other", digests)
    assert "c is not listed" in content_problem("c", b"", digests)
    assert content_problem("c", b"", None) == "", "without a manifest nothing is checked"
    assert missing_files(tmp_path, digests) == []
    (tmp_path / "µ.yaml").unlink()
    [problem] = missing_files(tmp_path, digests)
    assert "µ.yaml is listed in manifest.sha256, but missing" in problem


def test_anybody_can_check_a_manifest(tmp_path: Path) -> None:
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("this computer has no sha256sum")
    write_folder(tmp_path)

    def exit_code() -> int:
        return subprocess.run([program, "-c", "--strict", MANIFEST], cwd=tmp_path, capture_output=True, check=False).returncode

    assert exit_code() == 0
    (tmp_path / "µ.yaml").write_text("other", "utf-8")
    assert exit_code() == 1


def test_a_file_has_its_manifest_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "film.mkv"
    file.write_bytes(b"frames")
    assert (read_manifest(file), file_problem(file)) == (None, "")
    manifest_of(file).write_text(manifest_text({file.name: sha256_of(file)}), "utf-8")
    assert manifest_of(file).name == "film.mkv.sha256"
    assert file_problem(file) == ""
    file.write_bytes(b"Frames")
    assert "film.mkv differs from its SHA-256 in film.mkv.sha256" in file_problem(file)
    file.rename(tmp_path / "other.mkv")
    manifest_of(file).rename(manifest_of(tmp_path / "other.mkv"))
    assert "other.mkv is not listed in other.mkv.sha256" in file_problem(tmp_path / "other.mkv")


def test_while_a_file_is_replaced_both_are_right_and_nothing_else(tmp_path: Path) -> None:
    file, new, newer = tmp_path / "film.mkv", tmp_path / "new", tmp_path / "newer"
    for path in (file, new, newer):
        path.write_bytes(path.name.encode())
    digest = sha256_of(file)
    assert replacing_text(file, sha256_of(new)) == manifest_text({file.name: sha256_of(new)}), "it has no manifest yet"
    manifest_of(file).write_text(manifest_text({file.name: digest}), "utf-8")
    manifest_of(file).write_text(replacing_text(file, sha256_of(new)), "utf-8")
    assert read_manifest(file) == {file.name: digest}
    if program := shutil.which("sha256sum"):
        subprocess.run([program, "-c", "--strict", manifest_of(file).name], cwd=tmp_path, capture_output=True, check=True)
    # A second attempt after the first was cut short.
    manifest_of(file).write_text(replacing_text(file, sha256_of(newer)), "utf-8")
    for path in (file, new, newer):
        file.write_bytes(path.read_bytes())
        assert file_problem(file) == ""
    file.write_bytes(b"damaged")
    assert "differs from its SHA-256" in file_problem(file)
    manifest_of(file).write_text("damaged", "utf-8")
    assert replacing_text(file, sha256_of(new)) == manifest_text({file.name: sha256_of(new)})


def test_only_the_manifest_of_a_single_file_has_a_comment(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(f"# {'1' * 64}  a\n", "utf-8")
    with pytest.raises(LimitError, match="damaged"):
        read_manifest(tmp_path)
    (tmp_path / "film.mkv").write_bytes(b"")
    manifest_of(tmp_path / "film.mkv").write_text("# a comment\n", "utf-8")
    with pytest.raises(LimitError, match="damaged"):
        file_problem(tmp_path / "film.mkv")


@pytest.mark.parametrize(
    "line",
    ["0123  a", "g" * 64 + "  a", "0" * 64 + "  ../a", "0" * 64 + "  /a", "0" * 64 + "  a\\b", "0" * 64, "0" * 64 + "   "[:2]],
)
def test_a_damaged_or_hostile_manifest_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / MANIFEST).write_text(f"{'1' * 64}  fine\n{line}\n", "utf-8")
    with pytest.raises(LimitError, match=r"manifest\.sha256 is damaged at"):
        read_manifest(tmp_path)


def test_a_name_is_listed_once(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(f"{'1' * 64}  a\n{'2' * 64}  a\n", "utf-8")
    with pytest.raises(LimitError, match="damaged"):
        read_manifest(tmp_path)


def test_a_manifest_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(b"1" * 64 + b"  a\xe1b\n")
    with pytest.raises(LimitError, match=r"manifest\.sha256 is damaged"):
        read_manifest(tmp_path)
