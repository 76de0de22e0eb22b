"""Child processes of the reliability benchmark: what they leave behind is found."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from app.benchmarks.reliability.children import Limits, after, file, line, run, started
from drivers.base import SpeckleScopeError

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the children are found in /proc")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_exit_code_and_temporary_files(tmp_path: Path) -> None:
    code = "import sys, tempfile; print('out'); print('first\\nwhy', file=sys.stderr); tempfile.mkstemp('left'); sys.exit(3)"
    end = run(tmp_path, python(code))
    assert (end.code, end.output, end.message) == (3, "out\n", "why")
    assert [name[-4:] for name in end.temporary] == ["left"]
    assert end.survivors == ()


def test_a_child_is_killed_at_a_line_and_its_own_children_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.benchmarks.reliability.children._GRACE_S", 0.05)
    code = "import subprocess, time; p = subprocess.Popen(['sleep', '61']); print('ready', flush=True); time.sleep(60)"
    with started(tmp_path, python(code)) as child:
        assert child.wait_for(line("ready"))
        child.send(signal.SIGKILL)
        end = child.ended()
    assert end.code == -signal.SIGKILL
    assert end.survivors == ("sleep 61",)


def test_moments(tmp_path: Path) -> None:
    with started(tmp_path, python("open('x.done', 'w'); import time; time.sleep(60)")) as child:
        assert child.wait_for(file("*.done"))
        assert child.wait_for(after(0.01))
        assert not child.wait_for(file("never"), timeout_s=0.01)
        with pytest.raises(SpeckleScopeError, match="did not end within"):
            child.ended(0.01)
    assert not child.runs()


@pytest.mark.parametrize(("limits", "output"), [(Limits(), "False\n"), (Limits(ignore_sigint=True), "True\n")])
def test_sigint_is_heard_unless_it_shall_be_ignored(limits: Limits, output: str, tmp_path: Path) -> None:
    script = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    assert run(tmp_path, python(script), limits).output == output


def test_a_file_cannot_grow_beyond_the_limit(tmp_path: Path) -> None:
    end = run(tmp_path, python("with open('big', 'wb') as file: file.write(bytes(5000))"), Limits(file_bytes=4096))
    assert end.code == 1
    assert "File too large" in end.message
    assert (tmp_path / "big").stat().st_size == 4096
