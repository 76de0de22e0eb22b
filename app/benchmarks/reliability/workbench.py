"""A small, fast instrument with everything that the commands need: an instrument file, a model, and a dataset of the twin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from acquisition.capture.dataset_archive import open_dataset
from acquisition.capture.plan import CapturePlan
from acquisition.capture.runner import acquire
from app.datasets.acquisition_job import dataset_metadata
from app.instrument.config import InstrumentConfig, LiveConfig, SceneConfig, TwinConfig, save_config
from app.instrument.opening import fibre_name, open_rig
from app.training.train import field_radius
from drivers.base import SpeckleScopeError
from drivers.clock import VirtualClock
from drivers.twin.camera import SimulatedCameraConfig
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlmConfig
from reconstruction.models.model import ModelCard, save_model
from reconstruction.networks.referenced_unet import ReferencedUNet, UNetConfig

#: A small fibre that is quick to simulate.
OPTICS = OpticsConfig(image_px=128, field_radius_um=41.0)
#: A panel and a camera that are so fast that the processor alone limits an acquisition.
SLM = SimulatedSlmConfig(refresh_hz=500.0, latency_frames=(1, 3), time_constant_s=4e-4, settle_s=2e-3)
CAMERA = SimulatedCameraConfig(exposure_s=2e-3, readout_s=1e-3)
GRID_PX = 32
#: Options of ``specklescope train`` for a network that fits the model, and is trained in seconds.
NETWORK = ("--set", f"grid_px={GRID_PX}", "--set", "multipliers=1,2,4", "--front-end", "fold", "--base-channels", "4")


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """What the commands need.

    Parameters
    ----------
    instrument : Path
        The instrument file. Its archive is the folder ``archive`` of the working folder.
    config : InstrumentConfig
        Its content.
    model : Path
        Folder of an untrained model for this instrument.
    dataset : Path
        A complete dataset of the instrument.
    """

    instrument: Path
    config: InstrumentConfig
    model: Path
    dataset: Path


def build_workbench(folder: Path, pairs: int = 60) -> Workbench:
    """Write everything into ``folder``; this takes about two seconds.

    Parameters
    ----------
    folder : Path
        A new folder.
    pairs : int
        Object pairs of the dataset.
    """
    model = folder / "model"
    config = InstrumentConfig(
        name="small instrument",
        twin=TwinConfig(optics=OPTICS, slm=SLM, camera=CAMERA),
        scene=SceneConfig(source="cells", period_s=0.3, count=3),
        live=LiveConfig(engine="torch", reference_shots=2),
        model=str(model.absolute()),
    )
    _write_model(model, config)
    instrument = folder / "instrument.yaml"
    save_config(config, instrument)
    return Workbench(instrument=instrument.absolute(), config=config, model=model, dataset=_acquire(folder, config, pairs))


def _write_model(folder: Path, config: InstrumentConfig) -> None:
    torch.manual_seed(0)
    radius = field_radius(config)
    network = UNetConfig(
        frame_px=OPTICS.image_px,
        grid_px=GRID_PX,
        front_end="fold",
        base_channels=4,
        multipliers=(1, 2, 4),
        field_radius=radius,
    )
    card = ModelCard(
        name=folder.name,
        fibre=fibre_name(OPTICS),
        field_radius=radius,
        phase_range_rad=config.phase_range_rad,
        network=network.to_dict(),
    )
    save_model(folder, ReferencedUNet(network).eval(), card)


def _acquire(folder: Path, config: InstrumentConfig, pairs: int) -> Path:
    """Acquire the dataset in virtual time."""
    rig, fibre = open_rig(config, VirtualClock())
    plan = CapturePlan(source="cells", pairs=pairs, phase_range_rad=config.phase_range_rad, exposure_s=CAMERA.exposure_s)
    with open_dataset(folder / "archive", "pairs", plan, rig, dataset_metadata(config, fibre)) as writer:
        done = acquire(rig, plan, writer)
    rig.close()
    if not done.complete:
        raise SpeckleScopeError(
            f"the dataset of the benchmark has {done.acknowledged} of {done.requested} pairs: {done.faults}"
        )
    return writer.path.absolute()
