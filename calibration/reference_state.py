"""What frames are reconstructed against, as one object: it goes into a recording and comes back from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.references import ReferenceEntry, StoredReference
from acquisition.archive.rows import StorageError
from calibration.fibre import response as fibre_response
from calibration.fibre.response import FibreResponse
from calibration.registration import affine
from calibration.registration.affine import Registration
from calibration.retune import ReferencePairs
from calibration.stored import CalibrationError, Stored

#: Names of the arrays of a stored reference.
_SPECKLE = "speckle"
_PAIRS_REFERENCE, _PAIRS_SPECKLE, _PAIRS_PHASE = "pairs_reference", "pairs_speckle", "pairs_phase_rad"
_PAIRS_MATRIX, _RESPONSE = "pairs_registration_matrix", "response_"
#: Keys of its values.
_PAIRS_VALUES, _RESPONSE_VALUES = "pairs", "response"


@dataclass(frozen=True, eq=False, kw_only=True)
class ReferenceState:
    """The reference speckle, the reference pairs and the response in force; None where there is none.

    Parameters
    ----------
    speckle : ndarray of float32, shape (H, W), optional
        The newest reference: mean speckle of the flat pattern, in counts.
    pairs : ReferencePairs, optional
        The result of the last re-tune, with the reference that was measured with it.
    response : FibreResponse, optional
        The calibrated response that the model uses.
    """

    speckle: NDArray[np.float32] | None = None
    pairs: ReferencePairs | None = None
    response: FibreResponse | None = None

    @property
    def known(self) -> bool:
        """Whether there is anything to store."""
        return any(part is not None for part in (self.speckle, self.pairs, self.response))

    def stored(self, first_frame: int | None = None) -> StoredReference:
        """Return it as a recording stores it, from ``first_frame`` on; None is the recording's first frame."""
        arrays: dict[str, NDArray[Any]] = {}
        values: dict[str, object] = {}
        if self.speckle is not None:
            arrays[_SPECKLE] = self.speckle
        if self.pairs is not None:
            registration = self.pairs.registration.stored({})
            arrays |= {
                _PAIRS_REFERENCE: self.pairs.reference,
                _PAIRS_SPECKLE: np.stack(self.pairs.frames),
                _PAIRS_PHASE: np.stack(self.pairs.phases_rad),
                _PAIRS_MATRIX: registration.arrays["matrix"],
            }
            values[_PAIRS_VALUES] = {"stability": self.pairs.stability, "registration": dict(registration.values)}
        if self.response is not None:
            response = self.response.stored({})
            arrays |= {_RESPONSE + name: array for name, array in response.arrays.items()}
            arrays[f"{_RESPONSE}coupling"] = self.response.coupling  # in full precision: it is the one that was used
            values[_RESPONSE_VALUES] = dict(response.values)
        return StoredReference(first_frame=first_frame, arrays=arrays, values=values)

    @classmethod
    def read(cls, entry: ReferenceEntry) -> ReferenceState:
        """Read what a recording stores.

        Raises
        ------
        StorageError
            A file is missing or damaged, or does not hold what it should.
        """
        stored = entry.read()
        try:
            return cls(
                speckle=_image(stored.arrays, _SPECKLE) if _SPECKLE in stored.arrays else None,
                pairs=_pairs(stored) if _PAIRS_SPECKLE in stored.arrays else None,
                response=_response(stored) if _RESPONSE_VALUES in stored.values else None,
            )
        except (KeyError, TypeError, ValueError, CalibrationError) as error:
            raise StorageError(f"{entry.folder} holds no complete reference ({error}); restore it from a copy") from error


def _image(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    image = arrays[name]
    if image.ndim != 2 or image.dtype != np.float32 or not np.isfinite(image).all():
        raise ValueError(f"{name} is {image.dtype} {image.shape}, not one image of finite float32")
    return image


def _pairs(stored: StoredReference) -> ReferencePairs:
    arrays, values = stored.arrays, _mapping(stored.values[_PAIRS_VALUES])
    frames, phases = arrays[_PAIRS_SPECKLE], arrays[_PAIRS_PHASE]
    if frames.dtype not in (np.uint8, np.uint16) or frames.ndim != 3 or frames.shape != phases.shape:
        raise ValueError(f"the pairs are {frames.dtype} {frames.shape} and {phases.dtype} {phases.shape}")
    if phases.dtype != np.float32 or not np.isfinite(phases).all():
        raise ValueError(f"{_PAIRS_PHASE} is not finite float32")
    matrix = {"matrix": arrays[_PAIRS_MATRIX]}
    return ReferencePairs(
        reference=_image(arrays, _PAIRS_REFERENCE),
        frames=tuple(frames),
        phases_rad=tuple(phases),
        registration=Registration.from_stored(Stored(affine.KIND, {}, _mapping(values["registration"]), matrix)),
        stability=float(values["stability"]),
    )


def _response(stored: StoredReference) -> FibreResponse:
    arrays = {name.removeprefix(_RESPONSE): array for name, array in stored.arrays.items() if name.startswith(_RESPONSE)}
    return FibreResponse.from_stored(Stored(fibre_response.KIND, {}, _mapping(stored.values[_RESPONSE_VALUES]), arrays))


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no mapping")
    return value
