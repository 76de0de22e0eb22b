"""Files are written completely or not at all: on a full disk, and in an order that survives a power cut."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.archive.atomic_files import (
    moved_when_complete,
    save_array,
    sync_folder,
    write_bytes,
    write_image,
    write_inside,
    write_together,
    write_whole,
)
from drivers.base import SpeckleScopeError
from tests.helpers.small_disk import small_disk

NOISE = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
WRITERS: dict[str, Callable[[Path], None]] = {
    "a.png": lambda path: write_image(path, NOISE, "free space"),
    "a.tif": lambda path: write_image(path, NOISE.astype(np.float32), "free space"),
    "a.npy": lambda path: save_array(path, NOISE, "free space"),
    "a.txt": lambda path: write_whole(path, "words " * 5000, "free space"),
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The calls that reach the disk, in order; each is also done."""
    seen: list[tuple[str, ...]] = []
    fsync, rename = os.fsync, os.replace

    def note_fsync(fd: int) -> None:
        seen.append(("fsync", str(Path(f"/proc/self/fd/{fd}").readlink())))
        fsync(fd)

    def note_replace(source: Path, target: Path) -> None:
        seen.append(("replace", str(source), str(target)))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    return seen


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_old_file_and_no_other(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")
    with small_disk(10_000), pytest.raises(SpeckleScopeError, match=rf"^cannot write .*{name}: File too large; free space$"):
        WRITERS[name](path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    WRITERS[name](path)
    assert path.stat().st_size > 10_000


def test_a_file_is_synced_then_renamed_then_its_folder_is_synced(tmp_path: Path, calls: list[tuple[str, ...]]) -> None:
    path = tmp_path / "model.bin"
    write_bytes(path, b"new", "free space")
    (first, part), *rest = calls
    assert first == "fsync"
    assert Path(part).parent == tmp_path
    assert part != str(path)
    assert rest == [("replace", part, str(path)), ("fsync", str(tmp_path))]


def test_files_that_belong_together_are_all_on_disk_before_the_first_is_renamed(
    tmp_path: Path, calls: list[tuple[str, ...]]
) -> None:
    weights, card = tmp_path / "weights", tmp_path / "card"
    write_together({weights: b"w", card: b"c"}, "free space")
    renamed = [call[-1] for call in calls if call[0] == "replace"]
    assert renamed == [str(weights), str(card)], "the description gets its name last"
    assert [call[0] for call in calls[:3]] == ["fsync", "fsync", "replace"]


def test_when_one_of_them_does_not_fit_all_stay_as_they_were(tmp_path: Path) -> None:
    files = {tmp_path / "small": b"new", tmp_path / "large": bytes(20_000), tmp_path / "also-small": b"new"}
    for path in files:
        path.write_bytes(b"old")
    with small_disk(10_000), pytest.raises(SpeckleScopeError, match=r"cannot write .*large: File too large; free space"):
        write_together(files, "free space")
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"old"}
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_a_folder_is_synced_with_all_it_holds_before_it_gets_its_name(tmp_path: Path, calls: list[tuple[str, ...]]) -> None:
    path = tmp_path / "export"
    with moved_when_complete(path) as part:
        (part / "input").mkdir(parents=True)
        write_inside(part / "input" / "0.png", b"image")
        assert not path.exists()
    synced = [call[1] for call in calls if call[0] == "fsync"]
    assert synced == [str(part / "input" / "0.png"), str(part / "input"), str(part), str(tmp_path)]
    assert calls.index(("replace", str(part), str(path))) == 3
    assert (path / "input" / "0.png").read_bytes() == b"image"


def test_a_folder_replaces_a_folder_or_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.mkdir()
    (path / "old").touch()
    with small_disk(10_000), pytest.raises(OSError, match="File too large"), moved_when_complete(path) as part:
        write_inside(part, bytes(20_000))
    assert [file.name for file in path.iterdir()] == ["old"]
    with moved_when_complete(path) as part:
        part.mkdir()
        (part / "new").touch()
    assert [file.name for file in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_never_replaces_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.mkdir()
    (path / "precious").touch()
    with pytest.raises(SpeckleScopeError, match=r"cannot write .*export: Is a directory; choose another name"):
        write_whole(path, "text", "choose another name")
    assert (path / "precious").exists()
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_format_is_refused_before_the_disk_is_touched(tmp_path: Path) -> None:
    for name in ("a.xyz", "a"):
        with pytest.raises(SpeckleScopeError, match="choose another file name"):
            write_image(tmp_path / name, NOISE, "free space")
    assert not list(tmp_path.iterdir())


def test_images_come_back_as_they_were(tmp_path: Path) -> None:
    for image, name in ((NOISE, "a.png"), (NOISE.astype(np.uint16) * 257, "b.png"), (NOISE.astype(np.float32), "c.tif")):
        write_image(tmp_path / name, image, "free space")
        back = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)
        assert back.dtype == image.dtype
        assert np.array_equal(back, image)


def test_a_network_drive_that_cannot_sync_a_folder_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([errno.EINVAL, errno.EIO])

    def refuse(_: int) -> None:
        raise OSError(next(answers), "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    sync_folder(tmp_path)
    with pytest.raises(OSError, match="refused"):
        sync_folder(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two folders in one step")
def test_a_folder_is_replaced_in_one_step(tmp_path: Path, calls: list[tuple[str, ...]]) -> None:
    path = tmp_path / "export"
    for content in (b"old", b"new"):
        calls.clear()
        with moved_when_complete(path) as part:
            part.mkdir()
            write_inside(part / "a", content)
    assert not [call for call in calls if call[0] == "replace"], "the older folder keeps its name until the new one has it"
    assert (path / "a").read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
