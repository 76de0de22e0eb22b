"""Model folders: what is saved loads again, and what is damaged, foreign or missing says so in one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from reconstruction.base import ReconstructionError
from reconstruction.models.model import CARD, README, SHIPPED, WEIGHTS, load_model, readme, save_model
from tests.helpers.small_disk import small_disk
from tests.helpers.small_instrument import FRAME_PX, small_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_model(tmp_path / "mine")
    return tmp_path / "mine"


def test_a_saved_model_loads_with_its_card_and_a_stable_id(folder: Path) -> None:
    one, two = load_model(folder), load_model(str(folder))
    assert one.card.name == "mine"
    assert one.id == two.id
    assert len(one.id) == 12
    assert (folder / "README.md").read_text("utf-8").startswith("# Model card: mine")


def test_half_precision_storage_hardly_moves_the_phase(tmp_path: Path) -> None:
    from tests.helpers.small_instrument import small_network

    frames = torch.rand(2, 1, 1, FRAME_PX, FRAME_PX) * 60
    with torch.inference_mode():
        stored = small_model(tmp_path / "m").network(*frames)
        exact = small_network()(*frames)
    assert (stored - exact).abs().max() < 2e-3


@pytest.mark.parametrize("keep", [0, 7, 500])
def test_cut_weights_are_refused(folder: Path, keep: int) -> None:
    weights = folder / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ReconstructionError, match="is damaged, or not that of its card"):
        load_model(folder)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m")
    with torch.no_grad():
        next(model.network.parameters()).fill_(float("nan"))
    with pytest.raises(ReconstructionError, match="not finite"):
        save_model(tmp_path / "m", model.network, model.card)
    assert load_model(tmp_path / "m").id == model.id, "the older model is unchanged"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda card: card.update(surprise=1), "no model card"),
        (lambda card: card["network"].update(base_channels=8), "does not fit its card"),
        (lambda card: card["network"].update(multipliers="many"), "describes no network"),
        (lambda card: card["network"].update(grid_px=33), "describes no network"),
    ],
)
def test_cards_that_do_not_fit_are_refused(folder: Path, edit: Callable[[dict[str, Any]], object], message: str) -> None:
    card = yaml.safe_load((folder / CARD).read_text("utf-8"))
    edit(card)
    (folder / CARD).write_text(yaml.safe_dump(card), "utf-8")
    with pytest.raises(ReconstructionError, match="it differs from what was written"):
        load_model(folder)
    del card["card_sha256"]
    (folder / CARD).write_text(yaml.safe_dump(card), "utf-8")
    with pytest.raises(ReconstructionError, match=message):
        load_model(folder)


def test_a_card_cannot_run_code(folder: Path, tmp_path: Path) -> None:
    (folder / CARD).write_text(f"name: !!python/object/apply:pathlib.Path.touch ['{tmp_path / 'owned'}']\n", "utf-8")
    with pytest.raises(ReconstructionError, match="no model card"):
        load_model(folder)
    assert not (tmp_path / "owned").exists()


def test_a_missing_model_names_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(ReconstructionError, match=r"no model at .*nowhere; .*default-twin"):
        load_model(tmp_path / "nowhere")


def test_frames_of_another_size_are_refused(folder: Path) -> None:
    with pytest.raises(ReconstructionError, match="takes frames of 128 x 128 px, the camera gives 64 x 64"):
        load_model(folder).check_frame((64, 64))


def test_shipped_models_are_small_and_say_how_they_were_made() -> None:
    folders = [card.parent for card in SHIPPED.glob(f"*/{CARD}")]
    assert folders
    for folder in folders:
        assert (folder / WEIGHTS).stat().st_size <= 10_000_000
        model = load_model(folder)
        card = model.card
        assert (folder / README).read_text("utf-8") == readme(model), f"write readme(load_model({folder.name!r})) to it"
        assert card.data
        assert card.command.startswith(("specklescope train", "specklescope bench papers --train"))
        assert card.seconds > 0
        assert {"ssim", "correlation", "mae_rad", "psnr_db"} <= set(card.scores)


def test_a_full_disk_leaves_the_older_model(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    model = load_model(folder)
    with torch.no_grad():
        next(model.network.parameters()).add_(1)
    with (
        small_disk(len(before[folder / WEIGHTS]) // 2),
        pytest.raises(ReconstructionError, match=r"cannot write .*; free space"),
    ):
        save_model(folder, model.network, model.card)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert load_model(folder).id != save_model(folder, model.network, model.card).id


def test_a_power_cut_between_two_names_leaves_a_whole_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = load_model(folder)
    newer = load_model(folder)
    with torch.no_grad():
        next(newer.network.parameters()).add_(1)
    ids = []
    replace = Path.replace

    def replaced_and_copied(path: Path, target: Path) -> Path:
        done = replace(path, target)
        ids.append(load_model(shutil.copytree(folder, tmp_path / f"cut-{len(ids)}")).id)
        return done

    monkeypatch.setattr(Path, "replace", replaced_and_copied)
    saved = save_model(folder, newer.network, newer.card)
    assert ids == [older.id, saved.id, saved.id, saved.id]
    assert "previous" not in (folder / CARD).read_text("utf-8")
