"""Export to ONNX, its precisions, and ONNX Runtime."""
