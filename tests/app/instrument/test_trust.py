"""An instrument file from somebody else runs nothing and connects to nothing before the operator has allowed it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from app.instrument.config import InstrumentConfig, checked, load_config
from app.instrument.devices import open_camera, open_slm
from app.instrument.trust import TrustError, check_trust, is_trusted, trust, trust_folder, trust_requests
from drivers.base import DeviceError, SpeckleScopeError
from drivers.clock import RealClock
from tests.helpers.command import refused, run_here

CLASS = "slmsuite.hardware.slms.simulated.SimulatedSLM"


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An account of its own for every test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "account"))
    return tmp_path / "account"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def program(tmp_path: Path, canary: Path) -> Path:
    """A program that leaves a file when it runs."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\ntouch {canary}\n", "utf-8")
    path.chmod(stat.S_IRWXU)
    return path


@pytest.fixture
def instrument(tmp_path: Path, program: Path) -> Path:
    path = tmp_path / "instrument.yaml"
    path.write_text(f"camera: opencv\nslm: slmpy-window\nslmpy_window: {{python: {program}, start_s: 5}}\n", "utf-8")
    return path


def config_with(**settings: object) -> InstrumentConfig:
    return checked({"camera": "opencv", **settings}, "test")


def test_a_program_runs_only_after_consent(instrument: Path, program: Path, canary: Path) -> None:
    config = load_config(instrument)
    with pytest.raises(TrustError) as caught:
        open_slm(config)
    text = str(caught.value)
    assert f"{instrument} wants to run the program {program} (slmpy_window.python)" in text
    assert text.endswith(f"specklescope trust {instrument}")
    assert not canary.exists()
    trust(trust_requests(config))
    with pytest.raises(DeviceError, match="did not open"):
        open_slm(config)
    assert canary.exists()


def test_a_program_that_was_changed_or_that_a_link_now_leads_away_from_is_asked_about_again(
    instrument: Path, program: Path, tmp_path: Path
) -> None:
    trust(trust_requests(load_config(instrument)))
    check_trust(load_config(instrument))
    program.write_text("#!/bin/sh\necho other\n", "utf-8")
    with pytest.raises(TrustError):
        check_trust(load_config(instrument))
    trust(trust_requests(load_config(instrument)))
    (tmp_path / "copy").write_bytes(program.read_bytes())
    program.unlink()
    program.symlink_to(tmp_path / "copy")
    (tmp_path / "copy").chmod(stat.S_IRWXU)
    with pytest.raises(TrustError, match=f"a link to {tmp_path / 'copy'}"):
        check_trust(load_config(instrument))


@pytest.mark.parametrize("name", ["slmpy.py", "inner/more.py", "library.so"])
def test_code_that_is_added_to_a_folder_is_asked_about(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "slmPy"
    (folder / "inner").mkdir(parents=True)
    (folder / "slmpy.py").write_text("first", "utf-8")
    config = config_with(slm="slmpy-window", slmpy_window={"slmpy_path": str(folder)})
    (request,) = trust_requests(config)
    trust([request])
    (folder / "README").write_text("no code", "utf-8")
    assert is_trusted(request)
    (folder / name).write_text("second", "utf-8")
    assert not is_trusted(request)


def test_a_folder_with_links_or_with_too_much_code_is_not_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slmPy").mkdir()
    (tmp_path / "slmPy" / "slmpy.py").write_text("first", "utf-8")
    config = config_with(slm="slmpy-window", slmpy_window={"slmpy_path": str(tmp_path / "slmPy")})
    (tmp_path / "slmPy" / "wx").symlink_to("/usr")
    with pytest.raises(TrustError, match="is a link to a folder"):
        trust(trust_requests(config))
    (tmp_path / "slmPy" / "wx").unlink()
    monkeypatch.setattr("app.instrument.trust.MAX_CODE_BYTES", 4)
    with pytest.raises(TrustError, match="holds more code"):
        trust(trust_requests(config))


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"slm": "slmpy", "slmpy": {"host": "10.0.0.7"}}, "slmpy.host"),
        ({"slm": "slmsuite", "slmsuite_slm": {"class_path": CLASS, "arguments": {"sdk_path": "/x"}}}, "arguments.sdk_path"),
        ({"slm": "none", "camera": "slmsuite", "slmsuite_camera": {"arguments": {"url": "rtsp://x"}}}, "arguments.url"),
    ],
)
def test_addresses_and_texts_for_a_makers_class_need_consent(settings: dict[str, object], key: str) -> None:
    config = config_with(**settings)
    with pytest.raises(TrustError, match=key):
        open_camera(config, RealClock())
    with pytest.raises(TrustError, match=key):
        open_slm(config)
    trust(trust_requests(config))
    check_trust(config)


def test_what_is_not_chosen_or_proposed_by_the_program_needs_no_consent() -> None:
    check_trust(InstrumentConfig())
    check_trust(config_with(slm="slmpy-window"))
    check_trust(config_with(slm="slmpy"))
    unused = config_with(slm="screen", slmpy_window={"slmpy_path": "/somewhere"})
    check_trust(unused)
    assert [request.key for request in trust_requests(unused, chosen=False)] == ["slmpy_window.slmpy_path"]


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "slmsuite.hardware.slms.simulated.os.system.",
        "slmsuite.hardware..slms.simulated.SimulatedSLM",
        "slmsuite.holography.algorithms.Hologram",
        "slmsuite.hardware.slms.__init__.SLM",
        "slmsuite.hardware/../../evil.Evil",
        "SLMSUITE.hardware.slms.x.Y",
        "slmsuite.hardware.slms.x.Y\nos",
    ],
)
def test_class_paths_are_confined_to_slmsuites_hardware(path: str) -> None:
    for section in ("slmsuite_slm", "slmsuite_camera"):
        with pytest.raises(SpeckleScopeError, match="class_path"):
            config_with(slm="slmsuite", **{section: {"class_path": path}})


def test_consent_of_another_account_or_beside_the_file_does_not_count(
    instrument: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(trust_requests(load_config(instrument)))
    (stored,) = trust_folder().iterdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "other account"))
    monkeypatch.chdir(tmp_path)
    for place in (tmp_path, tmp_path / "trusted", tmp_path / "specklescope" / "trusted"):
        place.mkdir(parents=True, exist_ok=True)
        (place / stored.name).write_bytes(stored.read_bytes())
    with pytest.raises(TrustError):
        check_trust(load_config(instrument))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"key": "slmpy_window.python"}', "[" * 100000])
def test_a_damaged_consent_counts_as_none(content: str, instrument: Path) -> None:
    trust(trust_requests(load_config(instrument)))
    (stored,) = trust_folder().iterdir()
    stored.write_text(content, "utf-8")
    with pytest.raises(TrustError):
        check_trust(load_config(instrument))


def test_the_command_asks_stores_and_says_what(instrument: Path, program: Path, canary: Path, tmp_path: Path) -> None:
    assert f"{program} (slmpy_window.python)" in refused("live", "--config", instrument, cwd=tmp_path)
    with pytest.raises(AssertionError, match="wants to run"):  # two lines: what it wants, and that nothing was allowed
        refused("trust", instrument, cwd=tmp_path)
    assert not trust_folder().exists()
    run_here("trust", instrument, "--yes", "--json", "t.json", cwd=tmp_path)
    numbers = json.loads((tmp_path / "t.json").read_text())
    assert (numbers["wanted"], numbers["allowed_now"]) == (1, 1)
    assert not canary.exists(), "nothing runs while the operator decides"
    run_here("trust", instrument, "--json", "t.json", cwd=tmp_path)  # nothing is left to ask
    assert json.loads((tmp_path / "t.json").read_text())["allowed_now"] == 0


def test_a_name_that_plays_with_the_terminal_is_shown_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[2Jb\N{RIGHT-TO-LEFT OVERRIDE}"
    folder.mkdir()
    config = config_with(slm="slmpy-window", slmpy_window={"slmpy_path": os.fspath(folder)})
    with pytest.raises(TrustError) as caught:
        check_trust(config)
    assert str(caught.value).isprintable()
    assert r"a\x1b[2Jb\u202e" in str(caught.value)


def test_a_pickle_with_weights_is_read_only_after_consent(tmp_path: Path) -> None:
    weights = tmp_path / "cpsam"
    segmentation = {"kind": "cellpose", "weights": str(weights), "allow_pickle": True}
    config = config_with(slm="none", segmentation=segmentation)
    with pytest.raises(TrustError, match=r"read weights from the pickle file://.*cpsam \(segmentation\.weights\)"):
        check_trust(config)
    trust(trust_requests(config))
    weights.write_bytes(b"other weights")
    check_trust(config)
    check_trust(config_with(slm="none", segmentation={**segmentation, "allow_pickle": False}))
