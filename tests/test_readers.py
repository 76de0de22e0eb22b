"""Each kind of file has one reader. It checks the header before memory is used, so no other module opens such files itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_house import PACKAGES

CONTAINERS = "acquisition/exchange/containers/"
#: Functions that open a file of others, and the modules that may call them; a folder ends with "/".
READERS: Mapping[str, tuple[str, ...]] = {
    "cv2.imread": (),
    "cv2.imreadmulti": (),
    "cv2.imdecode": (
        "drivers/pictures.py",
        "app/gui/train_page/plots.py",  # a picture that the program has just drawn
        "app/library/thumbnails.py",  # its own cache
    ),
    "Image.open": ("drivers/pictures.py", CONTAINERS),
    "tifffile.imread": (),
    "tifffile.TiffFile": ("drivers/pictures.py", CONTAINERS, "acquisition/exchange/export_images.py"),
    "np.load": ("drivers/safe_arrays.py", CONTAINERS, "reconstruction/engines/tensorrt/"),  # what its own child has written
    "np.loadtxt": (),
    "np.genfromtxt": (),
    "np.fromfile": ("drivers/testing/",),
    "h5py.File": (
        CONTAINERS,
        "acquisition/exchange/hdf5_child.py",
        "acquisition/exchange/hdf5_skeleton.py",  # writes
        "acquisition/exchange/export_arrays.py",  # writes
    ),
    "scipy.io.loadmat": (CONTAINERS,),
    "loadmat": (CONTAINERS,),
    "av.open": ("drivers/recorded/video_file.py", "acquisition/exchange/export_video.py", "drivers/testing/videos.py"),
    "sqlite3.connect": ("acquisition/archive/journal/reader.py", "acquisition/archive/journal/writer.py"),
    "yaml.load": (),
    "yaml.safe_load": (),
    "yaml.full_load": (),
    "yaml.unsafe_load": (),
    "pickle.load": (),
    "pickle.loads": (),
    "torch.load": ("reconstruction/segmentation/foundation/weights.py",),  # tensors alone, after consent
}


_LAST_NAMES = {name.rpartition(".")[2] for name in READERS}


def called(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (getattr(node.func, "attr", "") or getattr(node.func, "id", "")) in _LAST_NAMES:
            name = ast.unparse(node.func)
            if name in READERS:
                yield node.lineno, name


def may_call(path: Path, name: str) -> bool:
    place = path.relative_to(ROOT).as_posix()
    # Benchmarks read what they have written themselves.
    return place.startswith("app/benchmarks/") or any(place.startswith(allowed) for allowed in READERS[name])


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_of_others_is_opened_by_its_reader(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, name in called(ast.parse(path.read_text("utf-8")))
        if not may_call(path, name)
    ]
    assert not wrong, "use the reader of this kind of file: " + "; ".join(wrong)


def test_every_exception_is_still_there() -> None:
    places = [path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    allowed = {place for names in READERS.values() for place in names}
    assert not [place for place in allowed if not any(other.startswith(place) for other in places)]
