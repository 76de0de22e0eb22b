"""A small, fast instrument for tests: 128 px frames, a 32 px phase grid, an untrained network; and how tests wait for it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import torch

from app.instrument.config import InstrumentConfig, LiveConfig, SceneConfig, TwinConfig
from app.instrument.opening import fibre_name
from app.training.train import field_radius
from drivers.twin.optics_config import OpticsConfig
from reconstruction.diffusion.mean_flow import MeanFlow, MeanFlowConfig
from reconstruction.models.model import Model, ModelCard, save_model
from reconstruction.networks.referenced_unet import ReferencedUNet, UNetConfig

FRAME_PX, GRID_PX = 128, 32
OPTICS = OpticsConfig(image_px=FRAME_PX, field_radius_um=41.0)


def small_network(front_end: str = "ridge", seed: int = 0) -> ReferencedUNet:
    """Return a network of random weights for the small instrument."""
    torch.manual_seed(seed)
    radius = field_radius(InstrumentConfig(twin=TwinConfig(optics=OPTICS)))
    config = UNetConfig(
        frame_px=FRAME_PX,
        grid_px=GRID_PX,
        front_end=front_end,
        base_channels=4,
        multipliers=(1, 2, 4),
        field_radius=radius,
    )
    return ReferencedUNet(config).eval()


def small_model(folder: Path, front_end: str = "ridge") -> Model:
    """Save an untrained model for the small instrument."""
    network = small_network(front_end)
    card = ModelCard(
        name=folder.name,
        fibre=fibre_name(OPTICS),
        field_radius=network.config.field_radius,
        phase_range_rad=2.85,
        network=network.config.to_dict(),
    )
    return save_model(folder, network, card)


def small_mean_flow(folder: Path) -> Model:
    """Save a mean flow of random weights for the small instrument: a model with a standard deviation of the phase."""
    radius = field_radius(InstrumentConfig(twin=TwinConfig(optics=OPTICS)))
    config = MeanFlowConfig(
        frame_px=FRAME_PX,
        grid_px=GRID_PX,
        base_channels=4,
        multipliers=(1, 2, 4),
        field_radius=radius,
        flow_steps=1,
        flow_channels=4,
    )
    torch.manual_seed(3)
    network = MeanFlow(config).eval()
    torch.nn.init.normal_(network.sigma_head.head.weight, std=0.5)
    card = ModelCard(
        name=folder.name,
        fibre=fibre_name(OPTICS),
        field_radius=radius,
        phase_range_rad=2.85,
        network=config.to_dict(),
        kind="mean-flow",
    )
    return save_model(folder, network, card)


@cache
def _files_of_small_model() -> Mapping[str, bytes]:
    """Return what is in the folder of the model; hundreds of tests start from the same."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "small-model"
        small_model(folder)
        return {path.name: path.read_bytes() for path in folder.iterdir()}


def small_instrument(root: Path, engine: str = "torch") -> InstrumentConfig:
    """Return the configuration of a small instrument whose model and archive lie under ``root``."""
    folder = root / "small-model"
    if not folder.exists():
        folder.mkdir(parents=True)
        for name, content in _files_of_small_model().items():
            (folder / name).write_bytes(content)
    return InstrumentConfig(
        name="small instrument",
        twin=TwinConfig(optics=OPTICS),
        scene=SceneConfig(source="cells", period_s=0.3, count=3),
        live=LiveConfig(engine=engine, reference_shots=2),
        model=str(folder),
        archive=root / "archive",
    )


def until(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Poll, as the window does, until a condition holds; fail when it does not hold within the time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"it did not happen within {timeout_s:g} s"
        time.sleep(0.005)
