"""TensorRT: building plans in a child process, and running them."""
