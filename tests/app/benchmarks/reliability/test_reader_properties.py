"""Whatever stands in a file, a reader takes it or refuses it in a way that the operator can read."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.benchmarks.reliability.fuzz import more_samples
from app.benchmarks.reliability.fuzz.judge import Outcome, outcome_of
from app.benchmarks.reliability.fuzz.mutations import copy_sample
from app.benchmarks.reliability.fuzz.readers import READERS
from app.instrument.config import InstrumentConfig
from drivers.safe_text import dump_yaml

#: Not those that start other processes, or that take long.
NAMES = [name for name in READERS if name not in ("command line", "engine cache") and "hdf5" not in name]
#: Examples of each property; `bench reliability` tries thousands of damaged files.
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["~/x", "1e-3", "no"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
KEYS = st.sampled_from([*InstrumentConfig.model_fields, "source", "pairs", "seed", "exposure_s"])


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    more_samples.write_all(folder)
    return folder


def outcome(name: str, samples: Path, content: bytes, kept: float) -> Outcome:
    """Read a sample whose damaged file holds the beginning of the real one, and then ``content``."""
    reader = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_sample(samples / reader.folder, Path(folder) / "copy")
        for pattern in reader.files[:1]:
            for file in (path for path in sorted(copy.glob(pattern))[:1] if path.is_file()):
                whole = file.read_bytes()
                file.write_bytes(whole[: int(kept * len(whole))] + content)
        try:
            reader.read(reader.target_in(copy), Random(0))
        except Exception as error:  # what a command would end with
            if outcome_of(error) is Outcome.LAST_RESORT:
                raise
            return outcome_of(error)
    return Outcome.ACCEPTED


@MANY
@given(name=st.sampled_from(NAMES), content=st.binary(max_size=600), kept=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
def test_any_bytes_are_read_or_refused(samples: Path, name: str, content: bytes, kept: float) -> None:
    assert not outcome(name, samples, content, kept).is_fault


@MANY
@given(name=st.sampled_from(["instrument", "plan"]), values=st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_values_in_a_file_that_people_write_are_read_or_refused(
    samples: Path, name: str, values: dict[str, object]
) -> None:
    assert not outcome(name, samples, dump_yaml(values).encode("utf-8", "replace"), 0.0).is_fault
