"""Settings of samplers: a recording gives back what it has stored, and what a model cannot do is refused with the remedy."""

from __future__ import annotations

import pytest

from reconstruction.sampling import MOST_SEED, SamplerChoices, Sampling, SamplingError, Shown


@pytest.mark.parametrize(
    "sampling", [Sampling(steps=1), Sampling(steps=8, shown=Shown.MEAN, seed=MOST_SEED), Sampling(steps=100, seed=3)]
)
def test_a_recording_gives_back_what_it_has_stored(sampling: Sampling) -> None:
    facts = sampling.facts("draws")
    assert facts["model"] == "draws"
    assert Sampling.of_facts(facts) == sampling


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"device_ns": 7},
        {"steps": 4, "sample_seed": 0},
        {"steps": "4", "sample_seed": 0, "shown": "mean"},
        {"steps": 4, "sample_seed": 0, "shown": "picture"},
        {"steps": 0, "sample_seed": 0, "shown": "mean"},
        {"steps": 4, "sample_seed": -1, "shown": "mean"},
    ],
)
def test_frames_without_settings_or_with_others_have_none(facts: dict[str, object]) -> None:
    assert Sampling.of_facts(facts) is None


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": 1, "seed": -1}, {"steps": 1, "seed": MOST_SEED + 1}])
def test_numbers_out_of_their_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SamplingError, match="1 or more steps and a seed from 0 to 2147483647"):
        Sampling(**wrong)


def test_what_a_model_cannot_do_is_refused() -> None:
    choices = SamplerChoices(steps=(1, 4), has_mean=False)
    choices.check(Sampling(steps=4))
    with pytest.raises(SamplingError, match="in 1, 4 steps, not in 3"):
        choices.check(Sampling(steps=3))
    with pytest.raises(SamplingError, match="gives no mean"):
        choices.check(Sampling(steps=4, shown=Shown.MEAN))
    SamplerChoices(steps=(1, 4), has_mean=True).check(Sampling(steps=4, shown=Shown.MEAN))


def test_settings_are_said_in_plain_words() -> None:
    assert Sampling(steps=4, seed=7).text == "sample 7, 4 steps"
    assert Sampling(steps=1, shown=Shown.MEAN, seed=7).text == "mean, 1 step"
