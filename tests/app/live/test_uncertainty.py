"""The uncertainty of a model that runs as one compiled graph, from the live view into a recording and every export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED
from acquisition.archive.writer import Archive
from acquisition.exchange.export import export
from app.instrument.config import InstrumentConfig, LiveConfig
from app.instrument.opening import open_instrument
from app.live.recordings.options import RecordingOptions
from app.live.session import Session
from app.status import RecordingLength, RecordingState
from reconstruction.engines.onnx.export import model_graph
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, small_instrument, small_mean_flow, until


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported_once: None) -> InstrumentConfig:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))
    model_graph(small_mean_flow(tmp_path / "flow"))  # exported here, because the live view is not waited for so long
    return small_instrument(tmp_path, "openvino").model_copy(update={"model": str(tmp_path / "flow")})


@pytest.mark.slow  # the graph is exported
def test_a_compiled_graph_gives_the_uncertainty_to_recordings_and_exports(config: InstrumentConfig, tmp_path: Path) -> None:
    with Session.open(config) as session:
        session.start_live()
        until(lambda: session.live_status().inference_fps > 0)
        assert session.live_status().engine == "openvino fp32", session.live_status().engine_reason
        session.start_recording("cells", RecordingOptions(length=RecordingLength(frames=12)))
        until(lambda: session.recording_status().state is RecordingState.FINISHED)
        path = session.recording_status().path
    assert path is not None
    archive = Archive.open(path)
    done = [row.index for row in archive.rows() if ROW_NOT_RECONSTRUCTED not in row.extra]
    stored = np.stack([archive.read("uncertainty", index) for index in done])
    assert np.isfinite(stored).all()
    assert stored.max() > 0
    files = {path.suffix: path for path in export(archive, tmp_path / "out", ["npz", "hdf5"])}
    with np.load(files[".npz"]) as content, h5py.File(files[".h5"]) as file:
        assert np.array_equal(content["uncertainty"][done], stored)
        assert np.array_equal(file["uncertainty"][:][done], stored)
        assert file["uncertainty"].attrs["unit"] == "rad"


@pytest.mark.slow
def test_samples_of_every_frame_reach_the_sampler(config: InstrumentConfig, tmp_path: Path) -> None:
    from reconstruction.diffusion.specdiffusion import SpecDiffusion, SpecDiffusionConfig
    from reconstruction.models.model import load_model, save_model

    card = load_model(config.model).card
    shape = SpecDiffusionConfig(
        frame_px=FRAME_PX, grid_px=GRID_PX, field_radius=card.field_radius, base_channels=8, heads=2, schedule="uniform-2"
    )
    sampler = replace(card, name="draws", network=shape.to_dict(), kind="specdiffusion", weights_sha256="")
    save_model(tmp_path / "draws", SpecDiffusion(shape), sampler)
    for count in (1, 3):
        live = LiveConfig(samples_per_frame=count)
        opened = config.model_copy(update={"model": str(tmp_path / "draws"), "live": live})
        rig, _, model, _ = open_instrument(opened)
        rig.close()
        assert model is not None
        assert model.network.gives_sigma is (count > 1)
        assert model.network.evaluations == 2 * count
