"""What an export says of its archive beside its metadata: when, with what, and what people have added since."""

from __future__ import annotations

from acquisition.archive.reader import Archive
from app.library.notes import stored_notes

#: More different exposures than these are in the columns alone.
_MOST_EXPOSURES = 20


def exported_facts(archive: Archive) -> dict[str, object]:
    """Return date, model and engine hash, exposures, notes and tags of an archive, for the metadata of its exports.

    Instrument, operator, sample and licence are in its own metadata.

    Raises
    ------
    SpeckleScopeError
        A row of the archive, or the file of its notes, is damaged.
    """
    rows = archive.rows()
    facts: dict[str, object] = {"created_utc": archive.status.get("created_utc", "")}
    facts["models"] = sorted({row.model_id for row in rows if row.model_id})
    facts["engines"] = sorted({row.engine for row in rows if row.engine})
    exposures_s = sorted({row.exposure_s for row in rows})
    facts["exposures_s"] = exposures_s[:_MOST_EXPOSURES]
    notes = stored_notes(archive.path)
    if notes is not None:
        facts |= {"notes": notes.text, "tags": list(notes.tags), "star": notes.star}
    return {key: value for key, value in facts.items() if value not in ("", [])}
