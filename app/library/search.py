"""Search among entries, with plain words as an operator types them.

An entry is found when it has every word, in any order, in any part of a word, in capitals or not, with accents or without.
Words are looked for in the name, the note, the tags, the date, instrument, fibre, model, kind and end. ``"two words"`` in
quotation marks belong together, and ``-word`` leaves out what has that word. ``today``, ``yesterday``, ``starred``,
``unfinished``, ``simulated`` and ``untagged`` mean just that. ``#liver`` is the tag liver.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from app.library.entry import Entry

_WORD = re.compile(r'(-?)(?:"([^"]*)"?|(\S+))')
#: Fields are kept apart by this, so that a word is never found across two of them.
_GAP = "\n"
_DATE_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d %B %Y", "%B %d %Y", "%d %b %Y", "%A", "%H:%M")


def folded(text: str) -> str:
    """Return a text without capitals and accents, in which all blanks are alike."""
    split = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(letter for letter in split if not unicodedata.combining(letter)).split())


@dataclass(frozen=True)
class SearchText:
    """What is looked at of one entry, prepared once.

    Parameters
    ----------
    text : str
        All fields, folded.
    tags : frozenset of str
        Its tags, folded.
    """

    text: str
    tags: frozenset[str]

    @classmethod
    def of(cls, entry: Entry) -> SearchText:
        """Prepare an entry."""
        notes = entry.notes
        known = [entry.name, notes.text, *notes.tags, entry.instrument, entry.fibre, entry.model, entry.model_id]
        known += [entry.kind.value, entry.end.value, entry.path.name]
        if entry.date is not None:
            known += [entry.date.strftime(layout) for layout in _DATE_FORMATS]
        return cls(_GAP.join(folded(field) for field in known), frozenset(map(folded, notes.tags)))


#: Words that mean something else than themselves: whether an entry has what they mean.
_MEANINGS: Mapping[str, Callable[[Entry, date], bool]] = {
    "today": lambda entry, today: entry.date is not None and entry.date.date() == today,
    "yesterday": lambda entry, today: entry.date is not None and entry.date.date() == today - timedelta(days=1),
    "starred": lambda entry, today: entry.notes.star,
    "star": lambda entry, today: entry.notes.star,
    "unfinished": lambda entry, today: entry.is_unfinished,
    "simulated": lambda entry, today: entry.simulated is True,
    "untagged": lambda entry, today: not entry.notes.tags,
}


@dataclass(frozen=True)
class _Term:
    """One word of a search."""

    text: str
    excluded: bool
    quoted: bool

    def fits(self, entry: Entry, prepared: SearchText, today: date) -> bool:
        meaning = None if self.quoted else _MEANINGS.get(self.text)
        if self.text.startswith("#") and len(self.text) > 1 and not self.quoted:
            is_match = any(tag.startswith(self.text[1:]) for tag in prepared.tags)
        else:
            is_match = self.text in prepared.text or (meaning is not None and meaning(entry, today))
        return is_match is not self.excluded


class Search:
    """What an operator has typed.

    Parameters
    ----------
    words : str
        The words; without any, every entry fits.
    today : date, optional
        What ``today`` means.
    """

    def __init__(self, query: str, today: date | None = None) -> None:
        self._today = today or date.today()
        self._terms = tuple(_terms(query))

    def fits(self, entry: Entry, prepared: SearchText) -> bool:
        """Whether an entry has everything that was typed."""
        return all(term.fits(entry, prepared, self._today) for term in self._terms)


def _terms(query: str) -> Iterable[_Term]:
    for minus, quoted, plain in _WORD.findall(query):
        text = folded(quoted or plain)
        if text:
            yield _Term(text, bool(minus), bool(quoted))
