"""The calibrated response of the instrument's fibre: the one asked for, or the one shipped for the default twin."""

from __future__ import annotations

from pathlib import Path

from calibration.fibre.response import KIND, FibreResponse
from calibration.stored import FILE, load
from reconstruction.base import ReconstructionError
from reconstruction.calibrated.few_step import CalibratedFewStep
from reconstruction.calibrated.speckle_residual import SpeckleResidual
from reconstruction.models.model import SHIPPED, Model

#: Responses that come with the program, beside the models that need them.
SHIPPED_RESPONSES = SHIPPED / "responses"


def find_response(folder: Path | None, fibre: str) -> FibreResponse:
    """Read a calibrated response.

    Parameters
    ----------
    folder : Path, optional
        Where ``calibrate response`` put it; without one a shipped response of this fibre is looked for.
    fibre : str
        Name of the instrument's fibre; empty is unknown.

    Raises
    ------
    CalibrationError
        No readable response there.
    ReconstructionError
        That of another fibre, or none shipped for this one.
    """
    folders = [folder] if folder else sorted(file.parent for file in SHIPPED_RESPONSES.glob(f"*/{FILE}"))
    for place in folders:
        stored = load(place, KIND)
        theirs = str(stored.values.get("fibre", ""))
        if theirs == fibre or (folder and not (theirs and fibre)):
            return FibreResponse.from_stored(stored)
        if folder:
            raise ReconstructionError(f"the response in {folder} is that of '{theirs}', not of '{fibre}'; calibrate this fibre")
    raise ReconstructionError(
        f"no response of fibre '{fibre}' is known; measure it (specklescope calibrate response) and give --response FOLDER"
    )


def attach(model: Model, folder: Path | None, fibre: str) -> None:
    """Give a model that works through a calibrated fibre that fibre; the others need none.

    Raises
    ------
    SpeckleScopeError
        See :func:`find_response`.
    """
    if isinstance(model.network, CalibratedFewStep):
        model.network.attach(through(find_response(folder, fibre), model.grid_px))


def through(response: FibreResponse, grid_px: int) -> SpeckleResidual:
    """Return the fibre as the calibrated loop uses it."""
    return SpeckleResidual(response.optics(), response.background, grid_px)
