"""ONNX Runtime on the CPU, in full precision."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from reconstruction.engines.base import Counts, EngineError
from reconstruction.export_onnx import cached_onnx
from reconstruction.model import Model


class OnnxRuntimeEngine:
    """Runs the exported graph in ONNX Runtime."""

    name = "onnxruntime f32"

    def __init__(self, model: Model) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Spinning workers would take the cores that camera and display need between frames.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = cached_onnx(model)
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # Its exceptions share no public base class. A broken cache file must not come back next time.
            path.unlink(missing_ok=True)
            raise EngineError(f"ONNX Runtime refused {path.name}: {str(error).splitlines()[0]}") from error

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.Engine`."""
        inputs = {"frame": frame.astype(np.float32, copy=False)[None, None], "reference": reference[None, None]}
        return np.asarray(self._session.run(None, inputs)[0][0, 0])
