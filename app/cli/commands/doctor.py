"""``specklescope doctor``: check whether this computer is ready."""

from __future__ import annotations

from dataclasses import asdict

from app.cli.options import Config, InstrumentOptions, Json
from app.cli.output import console, publish, write_json
from drivers.base import SpeckleScopeError


def doctor(*, config: Config = None, json: Json = None) -> None:
    """Check processor, GPU, disk, display, devices, model and engine; print what is wrong and what to do."""
    from app.diagnostics.doctor import examine
    from app.diagnostics.findings import Verdict

    settings = InstrumentOptions(config=config).settings()
    with console.status("checking"):
        findings = examine(settings)
    lines = {f.subject: f"{f.verdict}: {f.text}" + (f"\n-> {f.remedy}" if f.remedy else "") for f in findings}
    publish("doctor", lines, None)
    bad = [f.subject for f in findings if f.verdict is Verdict.BAD]
    if json is not None:
        write_json(json, {"ok": not bad, "findings": [asdict(f) for f in findings]})
    if bad:
        raise SpeckleScopeError(f"not ready: {', '.join(bad)}; do what is written above after '->'")
