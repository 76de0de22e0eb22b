"""The command ``specklescope``, also as ``python -m specklescope``, and ``specklescope-gui``, which opens the window."""

from __future__ import annotations

from app.cli.main import main


def gui() -> int:
    """Open the window; return the exit status."""
    from app.gui.main import main as open_window

    return open_window()


if __name__ == "__main__":
    main()
