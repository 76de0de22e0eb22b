"""The contract tests of :mod:`drivers.testing`, run on every camera and SLM that needs no instrument; one module a family."""
