"""Files that two processes need at the same time: one builds them, and the other one waits and uses the result."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reconstruction.engines.artifacts import Artifact
from reconstruction.engines.base import EngineError
from tests.conftest import ROOT

_BUILDER = """
import sys
from acquisition.archive.folder import waiting_announced
from reconstruction.engines.artifacts import Artifact
name = sys.argv[1]
def build():
    print("builds", flush=True)
    sys.stdin.readline()
    return name.encode()
print("asks", flush=True)
with waiting_announced(lambda line: print(line, flush=True)):
    print("got", Artifact("graph", "onnx", {"weights": 1}).load_or_build(build).decode(), flush=True)
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def builder(name: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command, pipe = [sys.executable, "-c", _BUILDER, name], subprocess.PIPE
    process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "asks\n"
    return process


@pytest.mark.parametrize(
    ("end_first", "lines"),
    [
        (lambda first: first.stdin.close(), ["got first\n"]),
        (lambda first: first.kill(), ["builds\n", "got second\n"]),
    ],
    ids=["finished", "killed"],
)
def test_the_second_builder_waits_for_the_first(
    cache: Path, end_first: Callable[[subprocess.Popen[str]], None], lines: list[str]
) -> None:
    with builder("first") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "builds\n"
        with builder("second") as second:
            assert second.stdout is not None
            line = second.stdout.readline()
            assert line.startswith(f"waiting for process {first.pid} on computer ")
            assert line.endswith(f", which writes {Artifact('graph', 'onnx', {'weights': 1}).path}\n")
            end_first(first)
            first.wait(60)
            assert second.communicate("\n", timeout=60)[0] == "".join(lines)
    assert Artifact("graph", "onnx", {"weights": 1}).load() == lines[-1].split()[1].encode()
    assert not list(cache.glob("*.lock"))


def test_a_builder_that_fails_leaves_the_next_one_free(cache: Path) -> None:
    artifact = Artifact("graph", "onnx", {})

    def fails() -> bytes:
        raise EngineError("refused")

    with pytest.raises(EngineError, match="refused"):
        artifact.load_or_build(fails)
    assert artifact.load_or_build(lambda: b"built") == b"built"
    assert artifact.load_or_build(fails) == b"built"


def test_a_cache_that_cannot_be_written_is_an_error_of_the_engine(cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(EngineError, match="set SPECKLESCOPE_CACHE"):
        Artifact("graph", "onnx", {}).load_or_build(lambda: b"built")
