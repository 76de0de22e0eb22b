"""Training a model, compiling it for the engines of this machine, and training in a process of its own."""
