"""What reconstructs the frames of a recording again, and against what: as they were recorded, or with another model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.reader import Archive
from acquisition.archive.references import ReferenceEntry, reference_at
from acquisition.archive.rows import StorageError, StoredRow
from app.instrument.responses import attach, attach_response
from calibration.reference_state import ReferenceState
from reconstruction.base import ReconstructionError
from reconstruction.engines.base import Engine, EngineError
from reconstruction.engines.choose import open_engine
from reconstruction.engines.engine_kinds import parse, preference_of
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.live.live_reconstructor import LiveMethod, ModelMethod, own_sampling
from reconstruction.live.pairs_method import PairsMethod
from reconstruction.models.model import Model, load_model, shipped_models
from reconstruction.sampling import Sampling

#: A method, and the reference (H, W) in counts.
Against = tuple[LiveMethod, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class RecordingOptions:
    """What a recording is reconstructed with.

    Parameters
    ----------
    model : str, optional
        Name of a shipped model, or a model folder. By default the shipped model of the recording, or its reference pairs.
    reference : ndarray of float32, shape (H, W), optional
        Mean speckle of the flat pattern in counts, instead of the stored one.
    response : Path, optional
        Folder of the fibre's calibrated response, where the recording holds none.
    as_recorded : bool
        Use for each frame the model or the pairs that reconstructed it, and the same engine where it can run here.
    models : tuple of Path
        Model folders among which the model of the recording is looked for, by its hash, beside the shipped ones.
    engine : str, optional
        The engine, see :func:`reconstruction.engines.choose.open_engine`. By default torch, or the recorded one.
    """

    model: str | None = None
    reference: NDArray[np.float32] | None = None
    response: Path | None = None
    as_recorded: bool = False
    models: tuple[Path, ...] = ()
    engine: str | None = None


class RecordedMethods:
    """Finds for each frame what reconstructs it, and against which reference.

    Parameters
    ----------
    archive : Archive
        The recording.
    options : RecordingOptions
        What to use.

    Raises
    ------
    SpeckleScopeError
        The recording holds no reference and none is given, or the chosen model cannot be read.

    Attributes
    ----------
    source : str
        Where the reference is from, for people.
    """

    def __init__(self, archive: Archive, options: RecordingOptions) -> None:
        self._archive = archive
        self._options = options
        self._fibre = str(archive.metadata.get("fibre") or "")
        self._entries = archive.references()
        self._model = _model_of(archive, options)
        self._samplings = _samplings(archive, self._model)
        self._entry: ReferenceEntry | None = None
        self._state: ReferenceState | None = None
        self._opened: dict[bool, Against] = {}
        self._engine: Engine | None = None
        self._pairs: PairsMethod | None = None
        if options.reference is not None:
            self.source = "the given one"
        elif self._entries:
            starts = ", ".join(str(entry.first_frame) for entry in self._entries)
            self.source = f"stored in the recording, from frame {starts} on"
        else:
            raise StorageError(
                f"{archive.path.name} holds no reference, as those of version 0.1.0; give --reference, a picture of "
                "the speckle of the flat pattern"
            )

    def at(self, row: StoredRow, method_id: str | None = None) -> Against:
        """Return what reconstructs a frame, and the reference (H, W) in counts; arguments and errors as for :meth:`tried`."""
        return next(self.tried(row, method_id))

    def tried(self, row: StoredRow, method_id: str | None = None) -> Iterator[Against]:
        """Yield what may have reconstructed a frame, the most likely first.

        That is what holds for the frame, and then, where frames are reconstructed as they were recorded, what holds from the
        next reference on: a frame may still have waited for its reconstruction when that came.

        Parameters
        ----------
        row : StoredRow
            The frame.
        method_id : str, optional
            The hash of the model or the method to use where frames are reconstructed as they were recorded. By default that of
            the row.

        Raises
        ------
        SpeckleScopeError
            The model is gone, or it is one of another fibre or of other frames; or a file of the reference is damaged.
        """
        problem: ReconstructionError | None = None
        was_possible = False
        for entry in self._entries_for(row):
            try:
                against = self._against(entry, row.model_id if method_id is None else method_id, self._samplings.get(row.index))
            except ReconstructionError as error:
                problem = problem or error
                continue
            was_possible = True
            yield against
        if problem is not None and not was_possible:
            raise problem

    def _entries_for(self, row: StoredRow) -> list[ReferenceEntry | None]:
        entry = reference_at(self._entries, row.frame_index) or (self._entries[0] if self._entries else None)
        later = [
            one for one in self._entries if entry is not None and one.first_frame > max(row.frame_index, entry.first_frame)
        ]
        return [entry, *(later[:1] if self._options.as_recorded else [])]

    def _against(self, entry: ReferenceEntry | None, method_id: str, sampling: Sampling | None) -> Against:
        if self._state is None or entry is not self._entry:
            self._entry, self._pairs, self._opened = entry, None, {}
            self._state = ReferenceState.read(entry) if entry else ReferenceState()
        by_pairs = self._uses_pairs(self._state, method_id)
        if self._model is not None and sampling is not None and sampling.steps != self._model.network.step_count:
            self._model.network.set_steps(sampling.steps)
            self._engine, self._opened = None, {}  # a graph is for one number of steps
        if by_pairs not in self._opened:
            self._opened[by_pairs] = self._open(self._state, by_pairs=by_pairs)
        method, reference = self._opened[by_pairs]
        if isinstance(method, ModelMethod) and method.sampling != sampling:
            assert self._model is not None
            assert self._engine is not None
            method = ModelMethod(self._model, self._engine, sampling)
            self._opened[by_pairs] = method, reference
        return method, reference

    def _uses_pairs(self, state: ReferenceState, method_id: str) -> bool:
        """Whether the reference pairs reconstruct a frame, and not the model."""
        model = self._model
        if not self._options.as_recorded or self._options.model is not None:
            return model is None
        if model is not None and method_id in ("", model.id):
            return False
        if state.pairs is not None and method_id in ("", self._by_pairs(state).id):
            return True
        name, what = self._archive.metadata.get("model") or "unknown", method_id or "no hash"
        raise ReconstructionError(
            f"model '{name}' ({what}) of {self._archive.path.name} is not on this computer; choose another model"
        )

    def _open(self, state: ReferenceState, *, by_pairs: bool) -> Against:
        shape = self._archive.spec("speckle").shape
        method = self._by_pairs(state) if by_pairs else self._with_model(state)
        reference = state.speckle if self._options.reference is None else self._options.reference
        if reference is None or reference.shape != shape:
            actual = "none" if reference is None else f"one of {reference.shape}"
            raise StorageError(
                f"{self._archive.path.name} needs a reference of {shape} px, there is {actual}; give --reference"
            )
        method.check_frame(shape)
        return method, reference

    def _with_model(self, state: ReferenceState) -> LiveMethod:
        model = self._model
        assert model is not None
        model.check_fibre(self._fibre)
        if state.response is not None and self._options.response is None:
            attach_response(model, state.response)
        else:
            attach(model, self._options.response, self._fibre)
        if self._engine is None or model.network.needs_response:  # an engine keeps the response that it was opened with
            self._engine = self._opened_engine(model)
        return ModelMethod(model, self._engine)

    def _opened_engine(self, model: Model) -> Engine:
        engine = self._options.engine
        if engine is None and self._options.as_recorded:
            engine = recorded_engine(self._archive, model.id)
        if engine is None or engine == TorchEngine.name:  # what every other engine is checked against
            return TorchEngine(model)
        return open_engine(model, engine)

    def _by_pairs(self, state: ReferenceState) -> PairsMethod:
        if state.pairs is None:
            name = self._archive.metadata.get("model") or "none"
            shipped = ", ".join(shipped_models())
            raise ReconstructionError(
                f"{self._archive.path.name} holds no reference pairs, and its model ('{name}') does not come with the program; "
                f"give --model, a model folder or a shipped one ({shipped})"
            )
        if self._pairs is None:
            grid_px = self._archive.spec("phase").shape[0] if "phase" in self._archive.arrays else 0
            self._pairs = PairsMethod(state.pairs, grid_px if grid_px > 1 else 0)
        return self._pairs


def _samplings(archive: Archive, model: Model | None) -> dict[int, Sampling]:
    """Return for each row how samples are drawn: as it was recorded with this model, or as before; empty for other models."""
    own = own_sampling(model.network) if model is not None else None
    if model is None or own is None:
        return {}
    samplings, last = {}, own
    for row in archive.intact_rows():
        if row.model_id == model.id:
            last = Sampling.of_facts(row.extra) or own
        samplings[row.index] = last
    return samplings


def recorded_engine(archive: Archive, model_id: str) -> str | None:
    """Return the engine that reconstructed most frames of a recording with a model, as a preference; None where unknown."""
    engines = Counter(preference_of(row.engine) for row in archive.intact_rows() if row.model_id == model_id)
    for name, _ in engines.most_common(1):
        with suppress(EngineError):
            return " ".join(parse(name))
    return None


def _model_of(archive: Archive, options: RecordingOptions) -> Model | None:
    """Return the chosen model, or that of the recording where it is known; None stands for reference pairs."""
    if options.model is not None:
        return load_model(options.model)
    name = archive.metadata.get("model")
    shipped = [str(name)] if name in shipped_models() else []
    if not options.as_recorded:
        return load_model(shipped[0]) if shipped else None
    candidates: list[str | Path] = [*shipped, *options.models]
    for candidate in candidates:
        with suppress(ReconstructionError):  # a damaged one is not that of the recording
            model = load_model(candidate)
            if model.id == archive.metadata.get("model_id"):
                return model
    return None
