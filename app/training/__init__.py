"""Training a model, compiling it for an engine, and running a training as a process."""
