"""Which models the experiment trains, with which options, and for how many minutes of one core.

The published networks get the frame and give the phase at the frame's sampling, ours give it on a grid of half the side. All
have some two million weights, which is less than the published ones have. SpecDiffusion begins as a regressor, with the loss of
the other networks. It goes on as a diffusion model, with a quarter of the draws at pure noise. The one that gets four times
the minutes starts from the other one's weights, and does both again. It has batch norm in place of group norm, and a fourth
grid: as published, it learned nothing in these minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from app.instrument.kinds import InstrumentName
from reconstruction.diffusion.specdiffusion import Prediction
from reconstruction.networks.film_unet import Norm

#: Minutes of one core for every model, and for the second SpecDiffusion.
MINUTES, LONG_MINUTES = 40.0, 160.0
BATCH = 16
#: Numbers of pairs for fine-tuning, and its steps.
FEW_PAIRS, FINE_TUNING_STEPS = (10, 50, 150), 150
#: Seeds of initial weights and order of the pairs.
_SEEDS = (1, 2, 3)
#: Part of SpecDiffusion's minutes in which it is a regressor.
_REGRESSOR_PART = 0.5


class Shelf(Enum):
    """Which of the three experiments a model belongs to; the value is the name of its folder."""

    #: The same pairs and minutes for every model.
    METHODS = "models"
    #: ResUNet's own experiment.
    HANDWRITING = "handwriting"
    #: SpecDiffusion's own experiment: fine-tuning on few pairs of pictures of another kind.
    TRANSFER = "transfer"


@dataclass(frozen=True, kw_only=True)
class PairsPlan:
    """Simulated pairs.

    Parameters
    ----------
    source : str
        Pattern source; that of handwriting is a folder that the experiment fills.
    pairs : int
        Number of pairs.
    seed : int
        Seed of patterns and noise.
    """

    source: str
    pairs: int = 12_000
    seed: int = 11

    @property
    def name(self) -> str:
        """Name of their folder."""
        return f"{self.source}-{self.pairs}-{self.seed}"


#: What all methods learn from.
MIXED = PairsPlan(source="mixed")
HANDWRITING = PairsPlan(source="handwriting")
#: Pictures without cells, and cells.
LEAVES, CELLS = PairsPlan(source="leaves"), PairsPlan(source="cells", pairs=max(FEW_PAIRS))


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a training with settings of its own; it starts from the weights of the stage before.

    Parameters
    ----------
    part : float
        Fraction of the model's minutes at which the stage ends.
    network : mapping
        Options of the network that differ from those of the other stages.
    rate : float, optional
        Highest learning rate of its schedule, which covers all minutes from the beginning of the model's training.
    validate_every : int
        Steps between two validations.
    """

    part: float = 1.0
    network: Mapping[str, object] = field(default_factory=dict)
    rate: float | None = None
    validate_every: int = 500


@dataclass(frozen=True, kw_only=True)
class PaperModel:
    """A model of the experiment.

    Parameters
    ----------
    name : str
        Name of its folder and of its row.
    kind : str
        Kind of model.
    network : mapping
        Options of its network.
    shelf : Shelf
        Its experiment.
    data : PairsPlan
        What it learns from.
    few : int
        Number of pairs that it learns from, the first ones of ``data``; 0 for all.
    base : str
        Name of the model of the same shelf that it starts from.
    minutes : float
        Time of one core, which includes closed-form fits and, where it is needed, the measurement of the fibre's response. For
        a model that learns from few pairs the steps of fine-tuning count instead.
    base_minutes : float
        How many of these minutes are those of the base.
    seed : int
        Seed of its initial weights and of the order of the pairs.
    stages : tuple of Stage
        Parts of its training.
    needs_response : bool
        Whether it needs the fibre's measured response.
    """

    name: str
    kind: str
    network: Mapping[str, object] = field(default_factory=dict)
    shelf: Shelf = Shelf.METHODS
    data: PairsPlan = MIXED
    few: int = 0
    base: str = ""
    minutes: float = MINUTES
    base_minutes: float = 0.0
    seed: int = 1
    stages: tuple[Stage, ...] = (Stage(),)
    needs_response: bool = False


def paper_models(instrument: InstrumentName, frame_px: int, grid_px: int) -> tuple[PaperModel, ...]:
    """Return the models of the experiment on a small fibre, the most important first.

    Parameters
    ----------
    instrument : InstrumentName
        Its name ends the name of every model. Only the smallest fibre has several seeds, handwriting and transfer.
    frame_px, grid_px : int
        Side of the frames, and of the grid that our models give.
    """
    published = {"grid_px": frame_px, "base_channels": 32}
    ours = {"grid_px": grid_px, "base_channels": 32}
    short = _specdiffusion(instrument, frame_px, MINUTES)
    long = replace(_specdiffusion(instrument, frame_px, LONG_MINUTES), base=short.name, base_minutes=short.minutes)
    unet = PaperModel(name=f"unet-{instrument}", kind="unet", network=published)
    resunet = PaperModel(name=f"resunet-{instrument}", kind="resunet", network=published)
    referenced = PaperModel(name=f"referenced-{instrument}", kind="referenced", network=ours)
    calibrated = PaperModel(
        name=f"calibrated-{instrument}", kind="calibrated", network={"grid_px": grid_px}, needs_response=True
    )
    mean_flow = PaperModel(name=f"mean-flow-{instrument}", kind="mean-flow", network={**ours, "base_channels": 28})
    methods = (unet, short, resunet, referenced, calibrated, mean_flow, long)
    if instrument is not InstrumentName.FIBRE64:
        return methods
    seeds = [replace(model, name=f"{model.name}-seed{seed}", seed=seed) for seed in _SEEDS[1:] for model in (unet, referenced)]
    digits = replace(resunet, name=f"resunet-handwriting-{instrument}", shelf=Shelf.HANDWRITING, data=HANDWRITING)
    transfer = [each for model in (unet, short, referenced) for each in _transfer(model)]
    return (*methods, digits, *seeds, *transfer)


def _specdiffusion(instrument: InstrumentName, grid_px: int, minutes: float) -> PaperModel:
    network = {
        "grid_px": grid_px,
        "base_channels": 12,
        "multipliers": (1, 2, 4, 8),
        "heads": 4,
        "dropout": 0.0,
        "norm": Norm.BATCH.value,
        "predicts": Prediction.PICTURE.value,
    }
    stages = (
        Stage(part=_REGRESSOR_PART, network={"mean_only": True, "schedule": "uniform-1"}, rate=2e-3),
        Stage(network={"pure_noise": 0.25, "schedule": "paper-100"}, rate=1e-3, validate_every=2000),
    )
    name = f"specdiffusion-{instrument}-{minutes:g}"
    return PaperModel(name=name, kind="specdiffusion", network=network, minutes=minutes, stages=stages)


def _transfer(model: PaperModel) -> list[PaperModel]:
    """Return a model that learns without cells, and its copies that are fine-tuned on few cells."""
    base = replace(model, name=f"{model.kind}-leaves", shelf=Shelf.TRANSFER, data=LEAVES)
    cells = PaperModel(name="", kind=model.kind, shelf=Shelf.TRANSFER, data=CELLS, base=base.name, seed=model.seed)
    return [base, *(replace(cells, name=f"{model.kind}-{few}-cells", few=few) for few in FEW_PAIRS)]
