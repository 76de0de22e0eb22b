"""Export to ONNX, its precisions, and ONNX Runtime."""

import os

# From version 1.29 on, ONNX Runtime reports the names and hashes of models to its maker, unless this is set before its import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
