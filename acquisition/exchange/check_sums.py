"""Check sums inside an export: the CRC-32 of every image, and one SHA-256 over everything that is no image.

The CRC-32 are those of the archive: over the bytes of an image in C order, little-endian. The SHA-256 is over the UTF-8 text of
``json.dumps([arrays, columns, metadata_json], sort_keys=True)``: of each array its dtype and shape, of each column its values
(texts without blanks at their end), and the metadata as they are stored.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.reader import Archive
from acquisition.archive.shards import Image

#: A column with the CRC-32 of every image of an array has this prefix and the name of the array.
CRC = "crc32_"
#: Name of the SHA-256 over everything that is no image.
FACTS = "facts_sha256"
#: What an import or a verification says of a file of version 0.1.0, or of another program.
NO_CHECK_SUMS = "no check sums in this file"
_REMEDY = "copy or export it again"
_OME_CRC, _OME_SHA256 = "specklescope_crc32", "specklescope_sha256"
_OME_METADATA, _OME_COLUMNS = "specklescope_metadata_json", "specklescope_columns_json"
_OME_CRCS = re.compile(rf'<M K="{_OME_CRC}">([0-9a-f ]*)</M>')
_OME_DIGITS = re.compile(rf'(<M K="{_OME_SHA256}">)([0-9a-f]{{64}})(?=</M>)')
_OME_LAYOUT = re.compile(r'<Pixels [^>]*\bType="(\w+)"')
#: Shape (N, H, W) and dtype of an array.
Layout = tuple[tuple[int, ...], np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class CheckSums:
    """The check sums that a file holds.

    Parameters
    ----------
    crc32 : mapping of str to ndarray
        The CRC-32 of every image, by the name of its array.
    problems : tuple of str
        What is damaged apart from the images.
    """

    crc32: Mapping[str, NDArray[Any]]
    problems: tuple[str, ...] = ()

    def problem(self, name: str, index: int, image: Image) -> str:
        """Return what is wrong with one image; an empty text if nothing is, or if its array has no check sums."""
        expected = self.crc32.get(name)
        if expected is None or int(expected[index]) == image_crc32(image):
            return ""
        return f"image {index} of {name!r} differs from its check sum (CRC-32); {_REMEDY}"


def image_crc32(image: Image) -> int:
    """Return the CRC-32 of an image's bytes in C order, little-endian."""
    return zlib.crc32(np.ascontiguousarray(image, image.dtype.newbyteorder("<")).data)


def crc32_columns(archive: Archive) -> dict[str, NDArray[np.uint32]]:
    """Return the CRC-32 of every image as columns (N,), by the name of the column."""
    return {CRC + name: np.array([row.crc32[name] for row in archive.rows()], np.uint32) for name in archive.arrays}


def facts_sha256(arrays: Mapping[str, Layout], columns: Mapping[str, NDArray[Any]], metadata_json: str) -> str:
    """Return the SHA-256 over everything that is no image, in hexadecimal digits."""
    layouts = {name: [dtype.newbyteorder("=").name, list(shape)] for name, (shape, dtype) in arrays.items()}
    values = {name: _plain(column) for name, column in columns.items()}
    text = json.dumps([layouts, values, metadata_json], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_check_sums(
    arrays: Mapping[str, Layout], columns: Mapping[str, NDArray[Any]], metadata_json: str, facts: str
) -> CheckSums | None:
    """Return the check sums of a file, or None if it has none.

    Parameters
    ----------
    arrays : mapping of str to (shape, dtype)
        Its arrays.
    columns : mapping of str to ndarray
        Its columns, those with check sums included.
    metadata_json : str
        Its metadata.
    facts : str
        The SHA-256 that it states; empty if it states none.
    """
    crc32 = {name.removeprefix(CRC): column for name, column in columns.items() if name.startswith(CRC)}
    if not crc32 and not facts:
        return None
    problems = missing_parts(arrays, crc32)
    own = {name: layout for name, layout in arrays.items() if name in crc32}
    if facts_sha256(own, columns, metadata_json) != facts:
        problems.append(
            f"its times, ids, metadata or check sums differ from {FACTS}; {_REMEDY}, or delete {FACTS} and all "
            f"{CRC}... if you changed it yourself"
        )
    return CheckSums(crc32=crc32 if not problems else {}, problems=tuple(problems))


def combined(parts: Sequence[CheckSums]) -> CheckSums | None:
    """Return the check sums of several files as one, or None if none has any."""
    if not parts:
        return None
    crc32 = {name: values for part in parts for name, values in part.crc32.items()}
    return CheckSums(crc32=crc32, problems=tuple(problem for part in parts for problem in part.problems))


def missing_parts(arrays: Mapping[str, Layout], crc32: Mapping[str, Collection[Any]]) -> list[str]:
    """Return a problem for every column of check sums without its array, or of another length than it."""
    problems = [f"it has check sums of {name!r}, but not the array; {_REMEDY}" for name in crc32 if name not in arrays]
    for name, (shape, _) in arrays.items():
        if name in crc32 and len(crc32[name]) != shape[0]:
            problems.append(f"it has {len(crc32[name])} check sums for the {shape[0]} images of {name!r}; {_REMEDY}")
    return problems


def _plain(column: NDArray[Any]) -> list[Any]:
    values: list[Any] = np.ravel(column).tolist()
    return [value.rstrip(" ") if isinstance(value, str) else value for value in values]


# ---- OME-TIFF: an annotation in the OME-XML


def ome_annotation(crc32: Collection[int], metadata_json: str, columns_json: str) -> dict[str, str]:
    """Return the annotation of one image array: all facts, its CRC-32, and a place for the SHA-256 of the whole OME-XML."""
    sums = {_OME_CRC: " ".join(f"{value:08x}" for value in crc32), _OME_SHA256: "0" * 64}
    return {_OME_METADATA: metadata_json, _OME_COLUMNS: columns_json, **sums}


def read_ome_facts(xml: str) -> tuple[dict[str, list[Any]], str]:
    """Return the columns of one of our OME-TIFF files and its metadata as JSON; nothing for other files."""
    annotations = {
        key: match[1] for key in (_OME_METADATA, _OME_COLUMNS) if (match := re.search(rf'<M K="{key}">([^<]*)</M>', xml))
    }
    columns = json.loads(html.unescape(annotations.get(_OME_COLUMNS, "{}")))
    return columns if isinstance(columns, dict) else {}, html.unescape(annotations.get(_OME_METADATA, "{}"))


def ome_sha256(xml: str) -> str:
    """Return the SHA-256 of an OME-XML text in which the 64 digits of its own SHA-256 are zeros."""
    return hashlib.sha256(_OME_DIGITS.sub(rf"\g<1>{'0' * 64}", xml).encode("utf-8")).hexdigest()


def ome_digits_at(xml: str) -> int | None:
    """Return where the digits of the SHA-256 begin in the UTF-8 text, or None if it has none."""
    match = _OME_DIGITS.search(xml)
    return len(xml[: match.start(2)].encode("utf-8")) if match else None


def read_ome_check_sums(name: str, xml: str, layout: Layout) -> CheckSums | None:
    """Return the check sums of the OME-TIFF file of one array, or None if it has none.

    Parameters
    ----------
    name : str
        Name of the array.
    xml : str
        Its OME-XML.
    layout : (shape, dtype)
        Of the array, as its pages have it.
    """
    crc32, digits = _OME_CRCS.search(xml), _OME_DIGITS.search(xml)
    if not crc32 and not digits:
        return None
    values = np.array([int(value, 16) for value in crc32[1].split()], np.uint32) if crc32 else np.array([], np.uint32)
    problems = missing_parts({name: layout}, {name: values})
    if not digits or digits[2] != ome_sha256(xml):
        problems.append(f"the times or metadata of {name!r} differ from their check sum (SHA-256); {_REMEDY}")
    stated = _OME_LAYOUT.search(xml)
    dtype = layout[1].name.replace("float32", "float").replace("float64", "double")
    if not stated or stated[1] != dtype:
        problems.append(f"the pages of {name!r} are {dtype}, which its metadata do not state; {_REMEDY}")
    return CheckSums(crc32={name: values} if not problems else {}, problems=tuple(problems))
