"""Texts from files for the terminal and the window: what is not printable becomes visible."""

from __future__ import annotations


def visible(text: str, *, keep: str = "") -> str:
    """Return a text in which control characters are escapes, because they could move the cursor or hide what is written.

    Parameters
    ----------
    text : str
        The text, which may come from a file of somebody else.
    keep : str
        Characters that stay as they are, for example line ends.
    """
    return "".join(
        mark if mark.isprintable() or mark in keep else mark.encode("unicode_escape").decode("ascii") for mark in text
    )
