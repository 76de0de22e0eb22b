"""Finds the calibrated response of the instrument's fibre: the configured one, or the one shipped for the default twin."""

from __future__ import annotations

from pathlib import Path

from calibration.fibre.response import KIND, FibreResponse
from calibration.stored import FILE, load
from reconstruction.base import ReconstructionError
from reconstruction.calibrated.few_step import CalibratedFewStep
from reconstruction.calibrated.speckle_residual import SpeckleResidual
from reconstruction.models.model import SHIPPED, Model

#: Responses that are shipped with the program, beside the models that need them.
SHIPPED_RESPONSES = SHIPPED / "responses"


def find_response(folder: Path | None, fibre: str) -> FibreResponse:
    """Read a calibrated response.

    Parameters
    ----------
    folder : Path, optional
        Folder that ``calibrate response`` wrote. Without it, the shipped responses are searched for one of this fibre.
    fibre : str
        Name of the instrument's fibre; empty if it is unknown.

    Raises
    ------
    CalibrationError
        The folder holds no readable response.
    ReconstructionError
        It is the response of another fibre, or none is shipped for this fibre.
    """
    folders = [folder] if folder else sorted(file.parent for file in SHIPPED_RESPONSES.glob(f"*/{FILE}"))
    for candidate in folders:
        stored = load(candidate, KIND)
        measured_fibre = str(stored.values.get("fibre", ""))
        if measured_fibre == fibre or (folder and not (measured_fibre and fibre)):
            return FibreResponse.from_stored(stored)
        if folder:
            raise ReconstructionError(
                f"the response in {folder} is that of fibre '{measured_fibre}', not of '{fibre}'; calibrate this fibre"
            )
    raise ReconstructionError(
        f"no response of fibre '{fibre}'; measure it with 'specklescope calibrate response' and name it with --response"
    )


def attach(model: Model, folder: Path | None, fibre: str) -> None:
    """Give the calibrated response of the fibre to a model that needs it; other models are left as they are.

    Raises
    ------
    SpeckleScopeError
        See :func:`find_response`.
    """
    response = response_of(model, folder, fibre)
    if response is not None:
        attach_response(model, response)


def response_of(model: Model, folder: Path | None, fibre: str) -> FibreResponse | None:
    """Return the calibrated response that a model needs, None for other models; raises as :func:`find_response`."""
    return find_response(folder, fibre) if isinstance(model.network, CalibratedFewStep) else None


def attach_response(model: Model, response: FibreResponse) -> None:
    """Give a response to a model that needs one; other models are left as they are."""
    if isinstance(model.network, CalibratedFewStep):
        model.network.attach(through(response, model.grid_px))


def through(response: FibreResponse, grid_px: int) -> SpeckleResidual:
    """Return the fibre in the form that the calibrated network uses."""
    return SpeckleResidual(response.optics(), response.background, grid_px)
