"""OpenCV opens no video file: its copy of FFmpeg is older than PyAV's. Cameras are opened by their number only."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

FOLDERS = ("specklescope", "app", "reconstruction", "calibration", "acquisition", "drivers", "tests")
#: What writes or decodes videos in OpenCV.
FORBIDDEN = {"VideoWriter", "VideoWriter_fourcc", "CAP_FFMPEG", "CAP_GSTREAMER", "CAP_IMAGES", "CAP_ANY"}


def is_number(node: ast.expr) -> bool:
    """Whether an argument is a number as everybody can see: 0, or int(...)."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "int"
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def faults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in FORBIDDEN:
                yield node.lineno, name
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("VideoCapture") and not is_number(node.args[0]):
            yield node.lineno, ast.unparse(node)


@pytest.mark.parametrize("folder", FOLDERS)
def test_opencv_opens_cameras_by_number_and_nothing_else(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "test_export_video.py"  # tries whether OpenCV, as another program, shows our videos
        for line, what in faults(ast.parse(path.read_text("utf-8")))
    ]
    assert not wrong, "decode videos with drivers/recorded/video_file.py:\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("cv2.VideoCapture('film.mp4')", 1),
        ("cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)", 2),
        ("cv2.VideoWriter(path)", 1),
        ("cv2.VideoCapture(int(number), cv2.CAP_V4L2)", 0),
    ],
)
def test_the_check_sees_what_it_looks_for(line: str, count: int) -> None:
    assert len(list(faults(ast.parse(line)))) == count
