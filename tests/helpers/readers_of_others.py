"""What Python packages of others say about a file, as JSON.

It runs in the virtual environment that `make test-slow` makes for them.

Arguments: the name of a function below, and files. Nothing of this program can be imported there.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import numpy as np


def described(values: Any) -> dict[str, object]:
    """Return shape, dtype and SHA-256 of an array."""
    array = np.ascontiguousarray(values)
    return {"shape": array.shape, "dtype": array.dtype.name, "sha256": hashlib.sha256(array.tobytes()).hexdigest()}


def napari(path: str) -> object:
    """Open a file in napari's viewer, which needs no window for that."""
    import npe2
    from napari.components import ViewerModel

    npe2.PluginManager.instance().discover()
    viewer = ViewerModel()
    viewer.open(path, plugin="napari-ome-zarr" if path.endswith(".zarr") else "napari")
    return [
        {
            **described(layer.data),
            "kind": type(layer).__name__,
            "scale": tuple(layer.scale),
            "units": [str(unit) for unit in layer.units],
            "contrast": getattr(layer, "contrast_limits", None),
        }
        for layer in viewer.layers
    ]


def bioio(path: str) -> object:
    """Open an image in bioio, whose plugin is chosen by the file."""
    from bioio import BioImage

    image = BioImage(path)
    sizes, channels = image.physical_pixel_sizes, image.channel_names
    return {"order": image.dims.order, "pixel_um": (sizes.Y, sizes.X), "channels": list(channels), **described(image.data)}


def ome_types(path: str) -> object:
    """Read the OME-XML of a TIFF and validate it against the schema."""
    from ome_types import from_tiff

    ome = from_tiff(path, validate=True)
    pixels = ome.images[0].pixels
    return {
        "pixel": (pixels.physical_size_x, str(pixels.physical_size_x_unit.value)),
        "date": str(ome.images[0].acquisition_date),
        "bits": pixels.significant_bits,
        "channel": pixels.channels[0].name,
        "frames": pixels.size_t,
        "times": [plane.delta_t for plane in pixels.planes],
    }


def imageio(path: str) -> object:
    """Read all pages of a TIFF."""
    import imageio.v3

    return described(imageio.v3.imread(path))


def skimage(path: str) -> object:
    """Read all pages of a TIFF."""
    import skimage.io

    return described(skimage.io.imread(path))


def zarr(path: str) -> object:
    """Read the array of an OME-Zarr group."""
    import zarr

    return described(zarr.open_group(path, mode="r")["0"][:])


def ome_zarr(path: str) -> object:
    """Read an OME-Zarr image with the reference implementation."""
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    image = next(Reader(parse_url(path))())
    return described(image.data[0].compute())


def ome_zarr_models(path: str) -> object:
    """Validate the metadata of an OME-Zarr group."""
    import ome_zarr_models
    import zarr

    return type(ome_zarr_models.open_ome_zarr(zarr.open_group(path, mode="r"))).__name__


def texts(values: Any) -> list[str]:
    """Return texts of any nesting as a flat list."""
    return [str(text).rstrip() for text in np.asarray(values).ravel()]


def matlab(content: dict[str, Any]) -> object:
    """Return what a reader of MATLAB files found."""
    return {
        **described(np.moveaxis(content["speckle"], 2, 0)),
        "t_ns": np.ravel(content["t_ns"]).tolist(),
        "names": texts(content["pattern_name"]),
    }


def pymatreader(path: str) -> object:
    """Read a MATLAB file."""
    import pymatreader

    return matlab(pymatreader.read_mat(path))


def mat73(path: str) -> object:
    """Read a MATLAB file of version 7.3."""
    import mat73

    return matlab(mat73.loadmat(path))


def hdf5storage(path: str) -> object:
    """Read a MATLAB file; version 5 is left to SciPy."""
    import hdf5storage

    return matlab(hdf5storage.loadmat(path))


if __name__ == "__main__":
    read = globals()[sys.argv[1]]
    print(json.dumps([read(path) for path in sys.argv[2:]]))
