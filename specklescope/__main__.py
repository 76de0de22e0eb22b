"""The command ``specklescope``, also as ``python -m specklescope``, and ``specklescope-gui``, which opens the window.

Signals are held before the program is imported, which takes about half a second.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.signals import hold


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; end the process with its exit status."""
    held = hold()
    from app.cli.main import main as run

    run(argv, held)


def gui() -> int:
    """Open the window; return the exit status."""
    held = hold()
    from app.gui.main import main as open_window

    return open_window(held=held)


if __name__ == "__main__":
    main()
