"""Readers of files that hold arrays, one module for each kind of file."""
