"""What the panes show of one recorded frame."""

from __future__ import annotations

from app.gui.image_view.contents import Content, Newest, PaneFacts
from app.playback.played_archive import PlayedArchive
from app.playback.played_frame import Layer, PlayedFrame

_NOT_RECORDED = {
    Content.TRUTH: "The truth is not part of a recording",
    Content.ERROR: "The error is not part of a recording: the truth is not known",
}


def pane_facts(archive: PlayedArchive) -> PaneFacts:
    """Return what the panes have to know about an archive."""
    facts = archive.facts
    return PaneFacts(field_um=facts.field_um, full_scale=facts.full_scale, display_range_rad=(0.0, facts.phase_range_rad))


def first_contents(archive: PlayedArchive, *, sharing: bool) -> tuple[Content, ...]:
    """Return what is shown of an archive until the operator chooses something else; less where two share the room."""
    if not archive.facts.is_recording:
        return Content.SPECKLE, Content.SLM
    if sharing:
        return Content.PHASE, Content.OVERLAY
    contents = (Content.SPECKLE, Content.PHASE, Content.OVERLAY)
    return (*contents, Content.UNCERTAINTY) if Layer.UNCERTAINTY in archive.layers else contents


def moment_of(frame: PlayedFrame, facts: PaneFacts) -> Newest:
    """Return what the panes show of a frame: its pictures, or why there is none."""
    missing = dict(_NOT_RECORDED)
    for content, layers in (
        (Content.SPECKLE, (Layer.SPECKLE,)),
        (Content.PHASE, (Layer.PHASE,)),
        (Content.UNCERTAINTY, (Layer.PHASE, Layer.UNCERTAINTY)),
        (Content.OVERLAY, (Layer.PHASE, Layer.LABELS)),
        (Content.SLM, (Layer.PATTERN,)),
    ):
        reasons = [frame.missing[layer] for layer in layers if layer in frame.missing]
        if reasons:
            missing[content] = reasons[0]
    return Newest(
        facts,
        frame=None if Layer.SPECKLE in frame.missing else frame.view.frame,
        view=frame.view,
        overlay=frame.overlay,
        slm_phase_rad=frame.pattern_rad,
        missing=missing,
    )
