"""``specklescope doctor`` and ``trust``: check this computer, and allow an instrument file to run what it names."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from app.cli.options import Config, Flag, Instrument, InstrumentOptions, Json
from app.cli.output import console, publish, write_json
from drivers.base import SpeckleScopeError
from drivers.visible_text import visible


def doctor(*, config: Config = None, instrument: Instrument = None, json: Json = None) -> None:
    """Check processor, GPU, disk, display, devices, model and engine; print what is wrong and what to do."""
    from app.diagnostics.doctor import examine
    from app.diagnostics.findings import Verdict

    settings = InstrumentOptions(config=config, instrument=instrument).settings()
    with console.status("checking"):
        findings = examine(settings)
    lines = {f.subject: f"{f.verdict}: {f.text}" + (f"\n-> {f.remedy}" if f.remedy else "") for f in findings}
    publish("doctor", lines, None)
    bad = [f.subject for f in findings if f.verdict is Verdict.BAD]
    if json is not None:
        write_json(json, {"ok": not bad, "findings": [asdict(f) for f in findings]})
    if bad:
        raise SpeckleScopeError(f"not ready: {', '.join(bad)}; do what is written above after '->'")


def trust(file: Path, *, yes: Flag = False, json: Json = None) -> None:
    """Allow an instrument file to run the programs, folders and addresses that it names.

    An instrument file from somebody else runs nothing before you allow it. Your consent is for exactly these values, and
    for the content that programs and folders have now. It is kept in your account.

    Parameters
    ----------
    file
        Instrument file (YAML).
    yes
        Do not ask.
    """
    from app.instrument import trust as consent
    from app.instrument.config import load_config

    requests = consent.trust_requests(load_config(file), chosen=False)
    missing = [request for request in requests if not consent.is_trusted(request)]
    name = visible(str(file))
    for request in requests:
        allowed = "" if request in missing else "; already allowed"
        console.print(f"{name} wants to {request}{allowed}", soft_wrap=True, highlight=False, markup=False)
    if missing and not yes and not _agreed():
        raise SpeckleScopeError(f"nothing was allowed; to allow what {name} wants, run the command again with --yes")
    consent.trust(missing)
    numbers = {"file": str(file), "wanted": len(requests), "allowed_now": len(missing), "kept_in": str(consent.trust_folder())}
    publish("trust", numbers, json)


def _agreed() -> bool:
    """Ask at the terminal; without a terminal nobody agrees."""
    if not sys.stdin.isatty():
        return False
    console.print("Run these? [y/N]", markup=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
