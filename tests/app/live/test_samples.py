"""Samples in the live view: the noise stays from frame to frame, and every recorded frame says how it was drawn."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.reader import Archive
from app.datasets.recorded_methods import RecordingOptions as MethodOptions
from app.datasets.recording_results import reconstruct_again
from app.instrument.config import InstrumentConfig, LiveConfig
from app.live.parts.errors import SessionError
from app.live.session import Session
from app.playback.played_archive import PlayedArchive
from app.status import LiveStatus, RecordingState
from drivers.base import Frame
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.live.live_reconstructor import LiveReconstructor, ModelMethod
from reconstruction.models.model import Model
from reconstruction.sampling import SamplerState, Sampling, SamplingError, Shown
from tests.helpers.small_instrument import FRAME_PX, small_instrument, small_mean_flow, until


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return small_mean_flow(tmp_path / "flow")


@pytest.fixture
def config(tmp_path: Path, model: Model) -> InstrumentConfig:
    return small_instrument(tmp_path).model_copy(update={"model": str(tmp_path / model.card.name)})


def counts(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).exponential(36, (FRAME_PX, FRAME_PX)).astype(np.float32)


def frame(index: int, seed: int) -> Frame:
    return Frame(np.minimum(counts(seed), 255).astype(np.uint8), index, 0, 0.002)


def status_of(session: Session) -> LiveStatus:
    session.poll_view()
    return session.live_status()


def state_of(session: Session) -> SamplerState:
    state = session.live_status().sampler
    assert state is not None
    return state


def test_the_picture_does_not_boil_and_another_seed_gives_another(model: Model) -> None:
    model.network.set_steps(2)
    engine = TorchEngine(model)
    live = LiveReconstructor(ModelMethod(model, engine, Sampling(steps=2, seed=4)), counts(9))
    first, again = live(frame(1, 0)), live(frame(2, 0))
    assert np.array_equal(first.phase_rad, again.phase_rad)
    assert first.sampling == Sampling(steps=2, seed=4)
    assert first.model_name == model.card.name
    live.method = ModelMethod(model, engine, Sampling(steps=2, seed=5))
    other = live(frame(3, 0))
    assert np.abs(other.phase_rad - first.phase_rad).max() > 0.01
    live.method = ModelMethod(model, engine, Sampling(steps=2, seed=4))
    assert np.array_equal(live(frame(4, 0)).phase_rad, first.phase_rad)


def test_the_mean_depends_on_no_seed_and_the_deviation_is_that_of_the_samples(model: Model) -> None:
    model.network.set_steps(2)
    engine, reference = TorchEngine(model), counts(9)
    means = [ModelMethod(model, engine, Sampling(steps=2, shown=Shown.MEAN, seed=seed)) for seed in (0, 1)]
    (one, sigma), (two, _) = (method.run_with_sigma(counts(0), reference) for method in means)
    sample, same_sigma = ModelMethod(model, engine, Sampling(steps=2)).run_with_sigma(counts(0), reference)
    assert np.array_equal(one, two)
    assert np.array_equal(means[0].run(counts(0), reference), one)
    assert np.abs(one - sample).max() > 0.01
    assert sigma is not None
    assert np.array_equal(sigma, same_sigma)


def test_steps_seed_and_picture_change_while_a_recording_runs(config: InstrumentConfig, model: Model, tmp_path: Path) -> None:
    with Session.open(config) as session:
        first = state_of(session)
        assert first.choices.steps == (1, 2, 4, 8)
        assert first.sampling == Sampling(steps=1)
        session.start_live()
        until(lambda: session.poll_view() is not None, 120)
        session.start_recording("samples")
        used = [first.sampling]
        for change in ({}, {"steps": 2}, {"seed": 7}, {"shown": Shown.MEAN}, {"steps": 4, "shown": Shown.SAMPLE}):
            used.append(replace(used[-1], **change))
            session.choose_sampling(used[-1])
            assert state_of(session).sampling == used[-1]
            drawn: list[int] = []

            def are_drawn(wanted: Sampling = used[-1], drawn: list[int] = drawn) -> bool:
                view = session.poll_view()
                if view is not None and view.reconstruction is not None and view.reconstruction.sampling == wanted:
                    drawn.append(view.frame.index)
                return len(drawn) > 2

            until(are_drawn, 120)
        assert session.recording_status().state is RecordingState.RECORDING
        session.stop_recording()
        session.join()
        path = session.recording_status().path
        assert not [message.text for message in session.pop_messages() if "failed" in message.text]
    assert path is not None
    archive = Archive.open(path)
    assert archive.status["verdict"] == "complete"
    recorded = [Sampling.of_facts(row.extra) for row in archive.rows() if row.model_id]
    changes = [recorded[0], *(later for earlier, later in pairwise(recorded) if later != earlier)]
    assert changes == used[1:]
    assert {row.extra["model"] for row in archive.rows() if row.model_id} == {model.card.name}
    assert {row.extra.get("model") for row in archive.rows() if not row.model_id} <= {None}

    result = reconstruct_again(path, MethodOptions(as_recorded=True, models=(tmp_path / "flow",)))
    assert result is not None
    facts = result.card.facts
    assert facts["frames_compared"] == len(recorded)
    assert facts["frames_equal"] == len(recorded)

    played = PlayedArchive(path)
    texts = set()
    for position, row in enumerate(archive.rows()):
        reconstruction = played.load(position).view.reconstruction
        if row.model_id:
            assert reconstruction is not None
            assert reconstruction.sampling == Sampling.of_facts(row.extra)
            texts.add(reconstruction.sampling.text)
    assert texts == {"sample 0, 1 step", "sample 0, 2 steps", "sample 7, 2 steps", "mean, 2 steps", "sample 7, 4 steps"}


def test_the_instrument_file_chooses_how_samples_are_drawn(config: InstrumentConfig) -> None:
    live = config.live.model_copy(update={"steps": 4, "shown": Shown.MEAN, "sample_seed": 3})
    with Session.open(config.model_copy(update={"live": live})) as session:
        session.start_live()
        until(lambda: status_of(session).inference_fps > 0, 120)
        assert state_of(session).sampling == Sampling(steps=4, shown=Shown.MEAN, seed=3)
        until(lambda: (view := session.poll_view()) is not None and view.reconstruction is not None)
        snapshot = session.snapshot()
        text = (snapshot / "metadata.yaml").read_text("utf-8")
        assert "steps: 4" in text
        assert "sample_seed: 3" in text
        assert "shown: mean" in text


def test_what_the_model_cannot_draw_is_refused(config: InstrumentConfig, tmp_path: Path) -> None:
    with pytest.raises(SamplingError, match="in 1, 2, 4, 8 steps, not in 3"):
        Session.open(config.model_copy(update={"live": LiveConfig(engine="torch", reference_shots=2, steps=3)}))
    with Session.open(config) as session:
        before = state_of(session)
        with pytest.raises(SamplingError, match="not in 5"):
            session.choose_sampling(Sampling(steps=5))
        assert state_of(session) == before
    plain = small_instrument(tmp_path)
    live = plain.live.model_copy(update={"steps": 4})
    with Session.open(plain.model_copy(update={"live": live})) as session:
        assert session.live_status().sampler is None
        assert [message.text for message in session.pop_messages() if "draws no samples" in message.text]
        with pytest.raises(SessionError, match="draws no samples; choose one that does on the Train page"):
            session.choose_sampling(Sampling(steps=4))
