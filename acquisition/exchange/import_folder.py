"""Pairs from the published SpecDiffusion layout: ``input/*.png`` and ``label/*.png`` of the same names, and lists of them."""

from __future__ import annotations

import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from acquisition.archive.old_names import METADATA, OLD_METADATA, metadata_file, with_present_names
from acquisition.archive.rows import PairRow
from acquisition.archive.shards import ArraySpec, Image
from acquisition.exchange.import_source import PairImportError, PairSource
from drivers.base import Pattern
from drivers.limits import LimitError, check_inside, check_pixels
from drivers.manifest import MANIFEST, content_problem, missing_files, read_manifest
from drivers.safe_text import read_yaml

#: Folder of each array.
_FOLDERS = {"speckle": "input", "label": "label"}
#: What an import says of a folder without a manifest.
NO_MANIFEST = f"no check sums in this folder: it has no {MANIFEST}"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: PNG's colour type of grey images.
_GREY = 0


def open_folder(path: Path, phase_range_rad: float | None) -> PairSource:
    """Find the pairs of a folder, and check names, lists and headers of all files.

    - Inputs have 8 or 16 bits, labels have 8. All files of one folder have the same size; the two folders may differ.
    - A colour image counts as grey, with a note, when its channels are equal everywhere. Other colour images and transparent
      images are refused. Hidden files are ignored.
    - The phase is ``label / 255 * phase_range_rad``. A label with only one grey level is the flat pattern, the reference.
    - Where the folder has a manifest, every file must have the SHA-256 that it lists.
    - Lists (``*_data.flist`` with ``*_label.flist``) must name existing files in the same order. Each row stores the name of
      its list.

    Parameters
    ----------
    path : Path
        Folder with ``input`` and ``label``.
    phase_range_rad : float, optional
        Phase of grey 255 in radians; by default the one in ``metadata.yaml``, which our own exports write.

    Raises
    ------
    PairImportError
        The phase range is stated nowhere, or there are no pairs.
    """
    check_import_folder(path)
    files = {array: _pngs(path / folder) for array, folder in _FOLDERS.items()}
    problems = [problem for _, wrong in files.values() for problem in wrong]
    inputs, labels = files["speckle"][0], files["label"][0]
    problems += [f"input/{stem}.png has no label/{stem}.png" for stem in sorted(inputs.keys() - labels.keys())]
    problems += [f"label/{stem}.png has no input/{stem}.png" for stem in sorted(labels.keys() - inputs.keys())]
    digests = manifest_digests(path, problems)
    problems += missing_files(path, digests or {})
    stems = sorted(inputs.keys() & labels.keys())
    if not stems:
        raise PairImportError(path, [*problems, "input/ and label/ have no PNG files of the same names"])
    phase_range_rad = stated_phase_range_rad(path) if phase_range_rad is None else phase_range_rad
    if phase_range_rad is None:
        raise PairImportError(path, ["give phase_range_rad, the phase of grey 255 in radians; metadata.yaml does not state it"])
    notes = [NO_MANIFEST] if digests is None else []
    lists = _lists(path, stems, problems, notes)
    specs: list[ArraySpec] = []
    bad: set[str] = set()
    for array, folder in _FOLDERS.items():
        headers = {f"{folder}/{stem}.png": _checked_header(path / folder / f"{stem}.png", problems) for stem in stems}
        specs.append(_common_spec(array, headers, problems, bad))
        coloured = [name for name, header in headers.items() if header and header.colour != _GREY and name not in bad]
        if coloured:
            notes.append(f"{len(coloured)} colour files with equal channels count as grey, the first is {coloured[0]}")
    folder_source = _FolderSource(
        path=path,
        stems=stems,
        lists=lists,
        phase_range_rad=phase_range_rad,
        specs=tuple(specs),
        bad=frozenset(bad),
        digests=digests,
    )
    return folder_source.source(problems, notes)


@dataclass(frozen=True, kw_only=True)
class _Header:
    """Size, bits per channel and colour type of a PNG file."""

    height: int
    width: int
    bits: int
    colour: int

    def __str__(self) -> str:
        return f"{self.width} x {self.height} of {self.bits} bits"


@dataclass(frozen=True, kw_only=True)
class _FolderSource:
    """The pairs of one folder."""

    path: Path
    stems: list[str]
    #: Which list names each pair.
    lists: Mapping[str, str]
    phase_range_rad: float
    specs: tuple[ArraySpec, ...]
    #: Files with a wrong header; each has its problem already.
    bad: frozenset[str]
    #: The SHA-256 that the folder's manifest lists for each file.
    digests: Mapping[str, str] | None

    def source(self, problems: list[str], notes: list[str]) -> PairSource:
        speckle, label = self.specs
        specs = (speckle, ArraySpec("phase", label.shape, "float32", compress=True), label)
        metadata = {"phase_range_rad": self.phase_range_rad, "bit_depth": 8 * np.dtype(speckle.dtype).itemsize}
        return PairSource(
            path=self.path,
            specs=specs,
            count=len(self.stems),
            metadata=metadata,
            images=self._images,
            row=self._row,
            name=self._name,
            hashed=tuple(_FOLDERS),
            problems=problems,
            notes=notes,
        )

    def _name(self, array: str, index: int) -> str:
        return f"{_FOLDERS[array]}/{self.stems[index]}.png"

    def _images(self, problems: list[str]) -> Iterator[dict[str, Image] | None]:
        for index in range(len(self.stems)):
            images: dict[str, Image] = {}
            for spec in self.specs:
                name = self._name(spec.name, index)
                if name in self.bad:
                    continue
                try:
                    data = (self.path / name).read_bytes()
                    if problem := content_problem(name, data, self.digests):
                        problems.append(problem)
                        continue
                    image = decode_grey(data)
                    if (image.shape, image.dtype.name) != (spec.shape, spec.dtype):
                        raise ValueError(f"it is {image.shape} {image.dtype.name}, not {spec.shape} {spec.dtype}")
                    images[spec.name] = image
                except (OSError, ValueError) as error:
                    problems.append(f"{name}: {error}")
            if len(images) == len(self.specs):
                images["phase"] = (images["label"] * np.float32(self.phase_range_rad / 255)).astype(np.float32)
            yield images if "phase" in images else None

    def _row(self, index: int, images: Mapping[str, Image]) -> PairRow:
        stem = self.stems[index]
        extra = {"file_stem": stem} | ({"list": self.lists[stem]} if stem in self.lists else {})
        blank = int(np.ptp(images["label"])) == 0
        name, pattern_id = "blank" if blank else stem, Pattern(images["phase"]).id
        return PairRow(frame_index=index, t_ns=0, exposure_s=0.0, pattern_id=pattern_id, pattern_name=name, extra=extra)


def read_header(data: bytes) -> _Header:
    """Read the header from a PNG file's first 33 bytes; raises ValueError when it is not a PNG file."""
    if len(data) < 33 or not data.startswith(_SIGNATURE) or data[12:16] != b"IHDR":
        raise ValueError("it is not a PNG file")
    width, height, bits, colour = struct.unpack(">IIBB", data[16:26])
    check_pixels((height, width))
    return _Header(height=height, width=width, bits=bits, colour=colour)


def decode_grey(data: bytes) -> NDArray[Any]:
    """Decode a PNG file to grey, shape (H, W), uint8 or uint16.

    Raises
    ------
    ValueError
        The file is damaged, truncated, coloured or transparent.
    """
    read_header(data)
    _check_chunks(data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ValueError("it cannot be decoded; save it again as grey PNG")
    if image.ndim == 2:
        return image
    if image.shape[2] == 4 and image[..., 3].min() < (255 if image.dtype == np.uint8 else 65535):
        raise ValueError("it is transparent in places; flatten it to grey")
    if not np.array_equal(image[..., 0], image[..., 1]) or not np.array_equal(image[..., 0], image[..., 2]):
        raise ValueError("it is coloured; convert it to grey")
    return np.ascontiguousarray(image[..., 0])


def _check_chunks(data: bytes) -> None:
    """Check every chunk of a PNG file by its CRC, because the decoder accepts damaged files; raises ValueError."""
    start = len(_SIGNATURE)
    chunk = b""
    while chunk != b"IEND":
        length, chunk = struct.unpack(">I4s", data[start : start + 8]) if len(data) >= start + 8 else (2**32, b"")
        end = start + 8 + length
        if end + 4 > len(data):
            raise ValueError("it is truncated; copy it again")
        if zlib.crc32(data[start + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise ValueError("it is damaged (CRC); copy it again")
        start = end + 4


def _pngs(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Return a folder's PNG files by their stems, and a problem for every other file."""
    try:
        files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    except OSError as error:
        raise PairImportError(folder.parent, [f"its folder {folder.name}/ cannot be read ({error.strerror})"]) from error
    pngs = {file.stem: file for file in files if file.suffix == ".png" and file.is_file()}
    return pngs, [
        f"{folder.name}/{file.name} is not a .png file; rename or remove it" for file in files if file not in pngs.values()
    ]


def _checked_header(file: Path, problems: list[str]) -> _Header | None:
    """Return the header of a PNG file, or None after adding a problem."""
    name = f"{file.parent.name}/{file.name}"
    try:
        with file.open("rb") as stream:
            header = read_header(stream.read(33))
    except (OSError, ValueError) as error:
        problems.append(f"{name}: {error}")
        return None
    if header.bits == 16 and file.parent.name == "label":
        problems.append(f"{name} has 16 bits; labels have 8")
        return None
    if header.bits < 8 and header.colour == _GREY:
        problems.append(f"{name} has {header.bits} bits; convert it to 8")
        return None
    return header


def _common_spec(array: str, headers: Mapping[str, _Header | None], problems: list[str], bad: set[str]) -> ArraySpec:
    """Return the array that most files fit; the other files are added to ``problems`` and ``bad``."""
    sizes = {name: (header.height, header.width, max(8, header.bits)) for name, header in headers.items() if header}
    bad |= headers.keys() - sizes.keys()
    if not sizes:
        return ArraySpec(array, (1, 1), "uint8")  # every file has its problem already
    (usual, count) = Counter(sizes.values()).most_common(1)[0]
    height, width, bits = usual
    for name, size in sizes.items():
        if size != usual:
            bad.add(name)
            problems.append(f"{name} is {headers[name]}, but {count} others are {width} x {height} of {bits} bits")
    return ArraySpec(array, (height, width), f"uint{bits}", compress=bits > 8)


def check_import_folder(path: Path) -> None:
    """Raise PairImportError if a file of the folder is a link out of it, a pipe or a device."""
    try:
        lists = [file.name for file in path.glob("*.flist")]
        check_inside(path, [METADATA, OLD_METADATA, MANIFEST, *lists], whole=_FOLDERS.values())
    except LimitError as error:
        raise PairImportError(path, [str(error)]) from error


def manifest_digests(path: Path, problems: list[str]) -> dict[str, str] | None:
    """Return the SHA-256 that a folder's manifest lists for each file, or None if it has no manifest.

    Changed lists and metadata are added to ``problems``. The images are not read.

    Raises
    ------
    PairImportError
        The manifest is damaged.
    """
    try:
        digests = read_manifest(path)
        if digests is None:
            return None
        for file in sorted(path.iterdir()):
            if file.name in (METADATA, OLD_METADATA) or file.suffix == ".flist":
                problem = content_problem(file.name, file.read_bytes(), digests)
                problems += [problem] if problem else []
    except (OSError, ValueError) as error:
        raise PairImportError(path, [str(error)]) from error
    return digests


def stated_phase_range_rad(path: Path) -> float | None:
    """Return the phase of label grey 255 in radians that a folder's ``metadata.yaml`` states, or None."""
    try:
        facts = with_present_names(read_yaml(metadata_file(path)))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    phase_range_rad = facts.get("phase_range_rad") if isinstance(facts, dict) else None
    return float(phase_range_rad) if isinstance(phase_range_rad, int | float) and 0 < phase_range_rad < float("inf") else None


def _lists(path: Path, stems: list[str], problems: list[str], notes: list[str]) -> dict[str, str]:
    """Return which list names each pair; what is wrong with the lists becomes problems and notes."""
    listed: dict[str, dict[str, list[str]]] = {}
    for file in sorted(path.glob("*.flist")):
        match = re.fullmatch(r"(.+)_(data|label)\.flist", file.name)
        if not match:
            notes.append(f"{file.name} is ignored: lists are called NAME_data.flist and NAME_label.flist")
            continue
        lines = file.read_text(encoding="utf-8", errors="replace").replace("\\", "/").split("\n")
        listed.setdefault(match[1], {})[match[2]] = [PurePosixPath(line.strip()).stem for line in lines if line.strip()]
    list_of: dict[str, str] = {}
    known = set(stems)
    for split, both in listed.items():
        if both.get("data") != both.get("label"):
            problems.append(f"{split}_data.flist and {split}_label.flist do not name the same pairs in the same order")
        names = both.get("data", both.get("label", []))
        problems += [f"{split}_data.flist names {stem}.png, which has no pair" for stem in names if stem not in known]
        problems += [f"{stem}.png is in the lists {list_of[stem]!r} and {split!r}" for stem in names if stem in list_of]
        list_of |= {stem: split for stem in names if stem in known}
    if listed and (unlisted := [stem for stem in stems if stem not in list_of]):
        notes.append(f"{len(unlisted)} pairs are in no list, the first is {unlisted[0]}.png; they are imported too")
    return list_of
