"""What holds for every child process: it imports nothing from the working folder, which may come from anywhere."""

from __future__ import annotations

import os


def keep_working_folder_off_path() -> None:
    """Let Python processes that this one starts ignore the working folder, also those of multiprocessing and of torch.

    Our own commands are started with ``-P``; multiprocessing starts its processes itself, and so does torch.
    """
    os.environ["PYTHONSAFEPATH"] = "1"
