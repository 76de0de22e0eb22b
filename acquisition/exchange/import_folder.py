"""Pairs from a folder: pictures of the same names in ``input/`` and ``label/`` (the published layout), and lists of them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from acquisition.archive.old_names import METADATA, OLD_METADATA, metadata_file, with_present_names
from acquisition.archive.rows import PairRow
from acquisition.archive.shards import ArraySpec, Image
from acquisition.exchange.conversion.grey_files import GREY, GreyReader, Header, find_pictures
from acquisition.exchange.conversion.phase import PhaseConverter, PhaseError, StatedPhase
from acquisition.exchange.conversion.rows import RowFacts, StatedRows
from acquisition.exchange.conversion.speckle import SpeckleConverter, SpeckleError, StatedSpeckle
from acquisition.exchange.conversion.units import PhaseUnit
from acquisition.exchange.import_source import ImportOptions, PairImportError, PairSource
from drivers.limits import LimitError, check_inside
from drivers.manifest import MANIFEST, content_problem, missing_files, read_manifest
from drivers.safe_text import read_yaml

#: Folder of each array in the published layout.
SPECKLE_FOLDER, LABEL_FOLDER = "input", "label"
#: What an import says of a folder without a manifest.
NO_MANIFEST = f"no check sums in this folder: it has no {MANIFEST}"
_FLOAT_BITS = 32


def open_folder(path: Path, options: ImportOptions) -> PairSource:
    """Find the pairs of a folder, and check names, lists and headers of all files.

    - The pictures may have any format of :mod:`drivers.pictures`, 8 or 16 bits, or floating point. All files of one folder have
      the same size and type; the two folders may differ. They are in natural order: 2 before 10.
    - A colour image counts as grey, with a note, when its channels are equal everywhere. Other colour images and transparent
      images are refused unless ``to_grey`` is stated. Hidden files and system files are ignored.
    - The phase is ``label / white * phase_range_rad``, with white 255 or 65535, unless another unit is stated. Labels in
      floating point are radians, unless another unit is stated. A label with only one value is the flat pattern, the reference.
    - Where the folder has a manifest, every file must have the SHA-256 that it lists.
    - Lists (``*_data.flist`` with ``*_label.flist``) must name existing files in the same order. Each row stores the name of
      its list.

    Parameters
    ----------
    path : Path
        Folder with ``input`` and ``label``, or with the folders that the options name.
    options : ImportOptions
        What is stated about the pairs. By default, ``phase_range_rad`` is the one in ``metadata.yaml``, which our own exports
        write.

    Raises
    ------
    PairImportError
        The phase range is stated nowhere, or there are no pairs.
    """
    folders = {"speckle": options.speckle or SPECKLE_FOLDER, "label": options.phase or LABEL_FOLDER}
    check_import_folder(path, folders.values())
    files = {array: _pictures(path, array, folder) for array, folder in folders.items()}
    problems = [problem for _, wrong in files.values() for problem in wrong]
    speckles, labels = files["speckle"][0], files["label"][0]
    problems += [
        f"{_name(path, file)} has no {folders['label']}/{file.name}" for s, file in speckles.items() if s not in labels
    ]
    problems += [
        f"{_name(path, file)} has no {folders['speckle']}/{file.name}" for s, file in labels.items() if s not in speckles
    ]
    digests = manifest_digests(path, problems)
    problems += missing_files(path, digests or {})
    stems = [stem for stem in speckles if stem in labels]
    if not stems:
        raise PairImportError(
            path, [*problems, f"{folders['speckle']}/ and {folders['label']}/ have no pictures of the same names"]
        )
    notes = [NO_MANIFEST] if digests is None else []
    lists = _lists(path, stems, problems, notes)
    chosen = {array: [pictures[stem] for stem in stems] for array, (pictures, _) in files.items()}
    reader = GreyReader(to_grey=options.to_grey)
    checked = _Headers(path=path, reader=reader, problems=problems, notes=notes)
    headers = {array: checked.common(paths) for array, paths in chosen.items()}
    stated_rad = stated_phase_range_rad(path) if options.phase_range_rad is None else options.phase_range_rad
    folder_source = _FolderSource(
        path=path,
        stems=stems,
        files=chosen,
        lists=lists,
        headers=headers,
        bad=checked.bad,
        digests=digests,
        reader=reader,
        phase=_phase_converter(path, headers["label"], stated_rad, options),
        speckle=_speckle_converter(path, headers["speckle"], options),
        rows=RowFacts({}, StatedRows(period_s=options.period_s, reference_name=options.reference_name)),
    )
    metadata: dict[str, Any] = {} if stated_rad is None else {"phase_range_rad": stated_rad}
    metadata |= {} if options.pixel_um is None else {"pixel_um": options.pixel_um}
    return folder_source.source(metadata, problems, notes)


@dataclass(frozen=True, kw_only=True)
class _FolderSource:
    """The pairs of a folder."""

    path: Path
    stems: list[str]
    #: The files of ``speckle`` and ``label``, in the order of the stems.
    files: Mapping[str, list[Path]]
    #: Which list names each pair.
    lists: Mapping[str, str]
    #: What most files of each array have.
    headers: Mapping[str, Header]
    #: Files with a wrong header; each has its problem already.
    bad: set[Path]
    #: The SHA-256 that the folder's manifest lists for each file.
    digests: Mapping[str, str] | None
    reader: GreyReader
    phase: PhaseConverter
    speckle: SpeckleConverter
    rows: RowFacts

    def source(self, metadata: dict[str, Any], problems: list[str], notes: list[str]) -> PairSource:
        shapes = {array: (header.height, header.width) for array, header in self.headers.items()}
        label = _dtype(self.headers["label"])
        specs = [
            ArraySpec("speckle", shapes["speckle"], self.speckle.dtype, compress=self.speckle.dtype != "uint8"),
            ArraySpec("phase", shapes["label"], "float32", compress=True),
        ]
        integers = np.issubdtype(label, np.unsignedinteger)
        if integers:  # as imported, beside the phase that is computed from it
            specs.append(ArraySpec("label", shapes["label"], label.name, compress=label.name != "uint8"))
        return PairSource(
            path=self.path,
            specs=specs,
            count=len(self.stems),
            metadata=metadata,
            images=self._images,
            row=self._row,
            name=self._name,
            hashed=("speckle", "label" if integers else "phase"),
            phase=self.phase,
            speckle=self.speckle,
            rows=self.rows,
            picture_notes=lambda: self.reader.notes(self.path),
            problems=problems,
            notes=notes,
        )

    def _name(self, array: str, index: int) -> str:
        return _name(self.path, self.files["speckle" if array == "speckle" else "label"][index])

    def _images(self, problems: list[str]) -> Iterator[dict[str, Image] | None]:
        for index in range(len(self.stems)):
            images: dict[str, Image] = {}
            for array in ("speckle", "label"):
                file = self.files[array][index]
                if file in self.bad:
                    continue
                try:
                    images |= self._converted(array, file)
                except (OSError, ValueError) as error:
                    text = str(error)
                    problems.append(
                        text if text.startswith(self._name(array, index)) else f"{self._name(array, index)}: {text}"
                    )
            yield images if images.keys() >= {"speckle", "phase"} else None

    def _converted(self, array: str, file: Path) -> dict[str, Image]:
        """Return what a file holds: the speckle, or the label and its phase; raises OSError or ValueError."""
        name = _name(self.path, file)

        def check(data: bytes) -> None:
            if problem := content_problem(name, data, self.digests):
                raise ValueError(problem)

        image = self.reader.read(file, check)
        header = self.headers[array]
        expected = (header.height, header.width), _dtype(header)
        if (image.shape, image.dtype) != expected:
            raise ValueError(f"it is {image.shape} {image.dtype}, not {expected[0]} {expected[1]}")
        if array == "speckle":
            return {"speckle": self.speckle.convert(name, image)}
        phase = {"phase": self.phase.convert(name, image)}
        return {**phase, "label": image} if image.dtype.kind == "u" else phase

    def _row(self, index: int, images: Mapping[str, Image]) -> PairRow:
        stem = self.stems[index]
        extra = {"file_stem": stem} | ({"list": self.lists[stem]} if stem in self.lists else {})
        return self.rows.row(index, images["phase"], pattern_name=stem, extra=extra)


def _without_partner(path: Path, files: Mapping[str, Path], partners: Mapping[str, Path], folder: str) -> list[str]:
    return [f"{_name(path, file)} has no {folder}/{file.name}" for stem, file in files.items() if stem not in partners]


def _name(path: Path, file: Path) -> str:
    return file.relative_to(path).as_posix()


def _dtype(header: Header) -> np.dtype[Any]:
    return np.dtype(np.float32) if header.bits == _FLOAT_BITS else np.dtype(f"uint{header.bits}")


def _phase_converter(path: Path, header: Header, phase_range_rad: float | None, options: ImportOptions) -> PhaseConverter:
    """Return the converter of the labels: integers are levels of the phase range, unless another unit is stated."""
    dtype = _dtype(header)
    unit = PhaseUnit.LEVELS if options.phase_unit is None and dtype.kind == "u" else options.phase_unit
    if unit in (PhaseUnit.LEVELS, PhaseUnit.PERCENT) and phase_range_rad is None:
        raise PairImportError(
            path, ["give --phase-range-rad (phase_range_rad), the phase of white in radians; metadata.yaml does not state it"]
        )
    try:
        return PhaseConverter(
            dtype, StatedPhase(unit=unit, phase_range_rad=phase_range_rad, white=options.phase_white, fill=options.phase_fill)
        )
    except PhaseError as error:
        raise PairImportError(path, [str(error)]) from error


def _speckle_converter(path: Path, header: Header, options: ImportOptions) -> SpeckleConverter:
    try:
        return SpeckleConverter(_dtype(header), StatedSpeckle(bit_depth=options.bit_depth, white=options.speckle_white))
    except SpeckleError as error:
        raise PairImportError(path, [str(error)]) from error


def _pictures(path: Path, array: str, folder: str) -> tuple[dict[str, Path], list[str]]:
    """Return the pictures of one folder by their stems, and a problem for every other file."""
    try:
        return find_pictures(path / folder)
    except OSError as error:
        option = "--speckle" if array == "speckle" else "--phase"
        there = sorted(entry.name for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []
        others = f"; its folders are {', '.join(there)}" if there else ""
        raise PairImportError(
            path, [f"its folder {folder}/ cannot be read ({error.strerror}){others}; give the folder's name by {option} NAME"]
        ) from error


@dataclass(frozen=True, kw_only=True)
class _Headers:
    """Checks the headers of pictures. What is wrong or worth knowing is added to its lists, and bad files to a set."""

    path: Path
    reader: GreyReader
    problems: list[str]
    notes: list[str]
    bad: set[Path] = field(default_factory=set)

    def common(self, files: list[Path]) -> Header:
        """Return what most files have; the others are bad."""
        headers = {file: self._header(file) for file in files}
        sizes = {file: (header.height, header.width, max(8, header.bits)) for file, header in headers.items() if header}
        self.bad.update(headers.keys() - sizes.keys())
        if not sizes:
            return Header(height=1, width=1, bits=8)  # every file has its problem already
        (usual, count) = Counter(sizes.values()).most_common(1)[0]
        height, width, bits = usual
        for file, size in sizes.items():
            if size != usual:
                self.bad.add(file)
                self.problems.append(
                    f"{_name(self.path, file)} is {headers[file]}, but {count} others are {width} x {height} of {bits} bits"
                )
        good = {file: header for file, header in headers.items() if header and file not in self.bad}
        self._note(good)
        height, width = self._turned(next(iter(good)), (height, width))
        return Header(height=height, width=width, bits=bits)

    def _note(self, headers: Mapping[Path, Header]) -> None:
        coloured = [file for file, header in headers.items() if header.colour != GREY]
        kinds = {
            "colour files with equal channels count as grey": [] if self.reader.to_grey else coloured,
            "files have fewer than 8 bits; their levels are scaled to 0 to 255": [
                file for file, header in headers.items() if header.bits < 8 and header.colour == GREY
            ],
            "files are JPEG, which changes grey values a little": [
                file for file in headers if file.suffix.lower() in (".jpg", ".jpeg")
            ],
        }
        self.notes.extend(
            f"{len(files)} {what}, the first is {_name(self.path, files[0])}" for what, files in kinds.items() if files
        )

    def _turned(self, file: Path, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the shape of a picture as it is read: a PNG file's header does not tell that EXIF turns it on its side."""
        try:
            read = self.reader.read(file).shape
        except (OSError, ValueError):
            return shape  # what is wrong with it is told when the pairs are read
        return shape[::-1] if read == shape[::-1] else shape

    def _header(self, file: Path) -> Header | None:
        """Return the header of a picture file, or None after adding a problem."""
        try:
            return self.reader.header(file)
        except (OSError, ValueError) as error:
            self.problems.append(f"{_name(self.path, file)}: {error}")
            return None


def check_import_folder(path: Path, folders: Iterable[str] = (SPECKLE_FOLDER, LABEL_FOLDER)) -> None:
    """Raise PairImportError if a file of the folder is a link out of it, a pipe or a device."""
    try:
        lists = [file.name for file in path.glob("*.flist")]
        check_inside(path, [METADATA, OLD_METADATA, MANIFEST, *lists], whole=folders)
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
        listed.setdefault(match[1], {})[match[2]] = [_listed_stem(line) for line in lines if line.strip()]
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


def _listed_stem(line: str) -> str:
    return unicodedata.normalize("NFC", PurePosixPath(line.strip()).stem)
