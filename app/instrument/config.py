"""The instrument file: YAML that is read, checked and typed. An unknown key is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic.types import StringConstraints

from acquisition.archive.atomic_files import write_whole
from acquisition.archive.old_names import with_present_names
from acquisition.archive.validation import explain
from acquisition.holograms.closed_form import HologramConfig
from acquisition.patterns.sources import DEFAULT_PHASE_RANGE_RAD
from app.instrument.kinds import CameraKind, InstrumentName, SlmKind
from app.instrument.numbers_check import wrong_number
from drivers.base import SpeckleScopeError, TriggerMode
from drivers.basler.config import BaslerConfig
from drivers.camera_settings import Roi, SettingName, SettingValue
from drivers.displays.panel import PanelConfig
from drivers.displays.screen import ScreenConfig
from drivers.displays.slmpy import SlmPyConfig
from drivers.displays.slmpy_local import SlmPyWindowConfig
from drivers.opencv.camera import OpenCvConfig
from drivers.safe_text import dump_yaml, read_handwritten_yaml
from drivers.slmsuite.camera import SlmsuiteCameraConfig
from drivers.slmsuite.slm import SlmsuiteSlmConfig
from drivers.twin.camera import FaultConfig, SimulatedCameraConfig
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig
from drivers.twin.slm import SimulatedSlmConfig
from reconstruction.models.model import DEFAULT_MODEL
from reconstruction.sampling import MOST_SEED, Shown
from reconstruction.segmentation.config import SegmentationConfig

#: Instrument files that come with the program.
SHIPPED_INSTRUMENTS = Path(__file__).parent / "shipped"
_TWIN_CAMERAS = (CameraKind.SIMULATED, CameraKind.BASLER_EMULATED)
#: Cameras with an input line that the sync output of an SLM can be wired to.
_CAMERAS_WITH_TRIGGER_LINE = (*_TWIN_CAMERAS, CameraKind.BASLER)
Name = Annotated[str, StringConstraints(min_length=1, max_length=60)]
Text = Annotated[str, StringConstraints(max_length=200)]
FibreName = Annotated[str, StringConstraints(max_length=60)]


class ConfigError(SpeckleScopeError):
    """The instrument file is missing, is not YAML, or has a wrong key or value."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TwinConfig(_Strict):
    """The simulated instrument; each part has the fields of the driver's own configuration."""

    optics: OpticsConfig = OpticsConfig()
    slm: SimulatedSlmConfig = SimulatedSlmConfig()
    camera: SimulatedCameraConfig = SimulatedCameraConfig()
    faults: FaultConfig = FaultConfig()


class ReplayConfig(_Strict):
    """A recording or dataset that is played as a camera, in an endless loop.

    Parameters
    ----------
    path : Path
        Its folder.
    period_s : float, optional
        Time from frame to frame, in seconds, instead of the recorded times. Imported pairs need it where they have no times.
    """

    path: Path = Path()
    period_s: float | None = Field(None, gt=0)


class SceneConfig(_Strict):
    """What the SLM shows as the live object.

    Parameters
    ----------
    source : str
        Pattern source; see :func:`acquisition.patterns.sources.open_source`.
    period_s : float
        Time until the next pattern, in seconds.
    count : int
        Number of patterns.
    seed : int
        Seed of the source.
    """

    source: str = "held-out"
    period_s: float = Field(1.5, gt=0)
    count: int = Field(12, ge=1)
    seed: int = 0


class CameraSettingsConfig(_Strict):
    """Settings of the camera, whatever its kind; they are written when it is opened. ``specklescope doctor`` lists them.

    Parameters
    ----------
    exposure_s : float, optional
        Exposure time in seconds; it replaces that of the camera's own section.
    gain : float, optional
        Gain in the camera's own unit.
    frame_rate_hz : float, optional
        Frames per second in free run, at most.
    roi : Roi, optional
        Region of interest in pixels of the frame.
    binning : int, optional
        Pixels of the sensor that make one pixel of the frame, along each side.
    """

    exposure_s: float | None = Field(None, gt=0)
    gain: float | None = None
    frame_rate_hz: float | None = Field(None, gt=0)
    roi: Roi | None = None
    binning: int | None = Field(None, ge=1)

    @property
    def values(self) -> dict[SettingName, SettingValue]:
        """The settings that are stated."""
        stated = {name: getattr(self, name.value) for name in SettingName}
        return {name: value for name, value in stated.items() if value is not None}

    @property
    def changes_shape(self) -> bool:
        """Whether frames have another shape, or show another region, than without these settings."""
        return any(name.changes_shape for name in self.values)


class LiveConfig(_Strict):
    """The live view.

    Parameters
    ----------
    engine : str
        Which engine runs the model, for instance ``auto``, ``openvino`` or ``openvino bf16``.
    reference_shots : int
        Frames that are averaged for the reference.
    record_queue_mb : float, optional
        Memory for frames that wait for the disk, in megabytes; by default a quarter of the free memory. A file may still have
        the older ``record_queue``, a number of frames, which no longer counts.
    pre_trigger_s : float
        Seconds of frames that are kept in memory, so that a recording can begin with them; 0 keeps none.
    drift_threshold : float
        The drift alarm is raised when the correlation with the reference falls below this. Speckle of different objects
        correlates at least 0.75 with the reference, speckle of the same fibre on another day about 0.25.
    samples_per_frame : int
        Pictures that a sampler (``specdiffusion``) draws of every frame. With two or more their spread is the uncertainty, and
        every frame takes that many times as long. Other models give their uncertainty at once, or have none.
    steps : int, optional
        Steps of a model that draws samples; by default its own number.
    shown : Shown
        Whether one sample or the mean of all samples is the phase of such a model.
    sample_seed : int, optional
        Seed of the noise of a sample; by default the model's own.
    """

    engine: str = "auto"
    reference_shots: int = Field(8, ge=1, le=256)
    record_queue_mb: float | None = Field(None, gt=0)
    pre_trigger_s: float = Field(0.0, ge=0, le=3600)
    drift_threshold: float = Field(0.5, ge=0, le=1)
    samples_per_frame: int = Field(1, ge=1, le=64)
    steps: int | None = Field(None, ge=1)
    shown: Shown = Shown.SAMPLE
    sample_seed: int | None = Field(None, ge=0, le=MOST_SEED)

    @property
    def chooses_sampling(self) -> bool:
        """Whether something is chosen that only models with samples have."""
        return self.steps is not None or self.sample_seed is not None or self.shown is not Shown.SAMPLE

    @model_validator(mode="before")
    @classmethod
    def _without_frames(cls, values: Any) -> Any:
        """Leave out the number of frames that files of version 0.1.0 have."""
        return {key: value for key, value in values.items() if key != "record_queue"} if isinstance(values, Mapping) else values


class CalibrationsConfig(_Strict):
    """Folders of the calibrations that were applied; what each of them has changed stands in its own section.

    Parameters
    ----------
    timing, lut, camera, registration, fibre : Path, optional
        Folder that ``specklescope calibrate`` or the Calibrate page wrote. ``registration`` is what the calibrations of the
        fibre use. The response of the fibre has a key of its own, ``response``.
    """

    timing: Path | None = None
    lut: Path | None = None
    camera: Path | None = None
    registration: Path | None = None
    fibre: Path | None = None


@dataclass(frozen=True)
class _Origin:
    """Where a configuration comes from; configurations with the same values are equal wherever they come from."""

    file: Path | None = field(default=None, compare=False)


class InstrumentConfig(_Strict):
    """One instrument: its devices, the settings of each kind of device, and what is shown on the SLM.

    Parameters
    ----------
    name : str
        Name of the instrument.
    fibre : str
        Name of the fibre of a real instrument; models and datasets belong to a fibre.
    pixel_um : float
        Size of a camera pixel at the facet of the fibre, in micrometres, of a real instrument; without binning.
    wavelength_um : float, optional
        Wavelength of the light in micrometres, for the optical volume of cells; without it, the volume is not known. A
        simulated instrument has that of ``twin.optics``.
    refractive_increment_um3_per_pg : float, optional
        How much the refractive index rises with the concentration of dry matter, in cubic micrometres per picogram, which is
        the same number as in ml/g: 0.18 to 0.21 for most proteins. Without it, the dry mass of cells is not known.
    camera : CameraKind
        Kind of camera.
    slm : SlmKind
        Kind of SLM.
    trigger : {"software", "hardware"}
        What starts an exposure under a pattern: the program, or the sync output of the SLM on the trigger line of the camera.
    camera_settings : CameraSettingsConfig
        Exposure, gain, frame rate, region and binning of the camera.
    model : str
        The name of a shipped model, or a model folder.
    cell_px : int
        Side of a cell of the phase's grid, in pixels of the frame: the grid that new models give and that comparisons score on.
    response : Path, optional
        Folder of the fibre's calibrated response, for models that need it.
    calibrations : CalibrationsConfig
        Folders of the calibrations that were applied.
    segmentation : SegmentationConfig
        How the cells of the phase are labelled.
    phase_range_rad : float
        Phase of white in patterns and labels, in radians.
    archive : Path
        Folder for datasets and recordings.
    operator, sample, licence : str
        Who measures what, and under which licence the data may be used; stored with every dataset and recording.

    Raises
    ------
    ValueError
        The camera cannot see the SLM, or has no trigger line; or the twin simulates another wavelength.
    """

    name: Name = "simulated instrument"
    fibre: FibreName = ""
    pixel_um: float = Field(1.0, gt=0)
    wavelength_um: float | None = Field(None, gt=0)
    refractive_increment_um3_per_pg: float | None = Field(None, gt=0)
    camera: CameraKind = CameraKind.SIMULATED
    slm: SlmKind = SlmKind.SIMULATED
    trigger: Literal["software", "hardware"] = "software"
    camera_settings: CameraSettingsConfig = CameraSettingsConfig()
    basler: BaslerConfig = BaslerConfig()
    opencv: OpenCvConfig = OpenCvConfig()
    slmsuite_camera: SlmsuiteCameraConfig = SlmsuiteCameraConfig()
    replay: ReplayConfig = ReplayConfig()
    panel: PanelConfig = PanelConfig()
    hologram: HologramConfig = HologramConfig()
    screen: ScreenConfig = ScreenConfig()
    slmpy: SlmPyConfig = SlmPyConfig()
    slmpy_window: SlmPyWindowConfig = SlmPyWindowConfig()
    slmsuite_slm: SlmsuiteSlmConfig = SlmsuiteSlmConfig()
    twin: TwinConfig = TwinConfig()
    scene: SceneConfig = SceneConfig()
    live: LiveConfig = LiveConfig()
    model: str = DEFAULT_MODEL
    cell_px: int = Field(4, ge=1, le=64)
    response: Path | None = None
    calibrations: CalibrationsConfig = CalibrationsConfig()
    segmentation: SegmentationConfig = SegmentationConfig()
    phase_range_rad: float = Field(DEFAULT_PHASE_RANGE_RAD, gt=0)
    archive: Path = Path("archive")
    operator: Text = ""
    sample: Text = ""
    licence: Text = ""
    _origin: _Origin = PrivateAttr(default=_Origin())

    def model_post_init(self, context: Any, /) -> None:
        """Keep the file that the caller of the validation names; no file can name it itself."""
        self._origin = _Origin(context)

    @property
    def file(self) -> Path | None:
        """The operator's instrument file that was read; None for values from elsewhere, and for files of the program."""
        path = self._origin.file
        return path if path is None or path.parent != SHIPPED_INSTRUMENTS else None

    @property
    def read_from(self) -> Path | None:
        """The instrument file that was read, also if it comes with the program, for reading only."""
        return self._origin.file

    @property
    def on_twin(self) -> bool:
        """Whether the instrument is simulated."""
        return self.camera in _TWIN_CAMERAS

    @property
    def credits(self) -> dict[str, str]:
        """Operator, sample and licence as far as they are stated, for the metadata of what is recorded."""
        facts = {"operator": self.operator, "sample": self.sample, "licence": self.licence}
        return {name: text for name, text in facts.items() if text}

    @property
    def trigger_mode(self) -> TriggerMode:
        """What starts an exposure under a pattern."""
        return TriggerMode(self.trigger)

    @property
    def frame_pixel_um(self) -> float:
        """Size of a camera pixel at the facet of the fibre, in micrometres."""
        return self.twin.optics.pixel_um if self.on_twin else self.pixel_um

    @property
    def light_wavelength_um(self) -> float | None:
        """Wavelength of the light in micrometres; None where nobody has stated it."""
        return self.twin.optics.wavelength_um if self.on_twin else self.wavelength_um

    @model_validator(mode="after")
    def _devices_fit(self) -> Self:
        slm_simulated = self.slm is SlmKind.SIMULATED
        if self.on_twin and not slm_simulated:
            raise ValueError(f"camera '{self.camera}' sees only the simulated SLM, not '{self.slm}'; set slm: simulated")
        if not self.on_twin and slm_simulated:
            raise ValueError(f"camera '{self.camera}' cannot see the simulated SLM; set slm to screen, slmpy, ... or none")
        if self.trigger_mode is TriggerMode.HARDWARE and self.camera not in _CAMERAS_WITH_TRIGGER_LINE:
            raise ValueError(f"camera '{self.camera}' has no trigger line; set trigger: software")
        simulated_um = self.twin.optics.wavelength_um
        if self.on_twin and self.wavelength_um not in (None, simulated_um):
            raise ValueError(
                f"wavelength_um is {self.wavelength_um:g}, but the twin simulates {simulated_um:g}; leave it out, or "
                "change twin.optics.wavelength_um"
            )
        return self


def load_config(path: Path | None) -> InstrumentConfig:
    """Read an instrument file; None gives the simulated instrument.

    Raises
    ------
    ConfigError
        States the key, its value and what was expected. For a misspelt key it suggests the nearest known one.
    """
    if path is None:
        return InstrumentConfig()
    try:
        content = read_handwritten_yaml(path)
    except FileNotFoundError as error:
        text = f"there is no instrument file {path}; correct --config, or leave it out for the simulated instrument"
        raise ConfigError(text) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if content is None:
        return InstrumentConfig()
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold 'key: value' lines, got {type(content).__name__}")
    return checked(with_present_names(content, range_rad="slm_range_rad"), f"{path}", path)


def shipped_file(name: InstrumentName) -> Path | None:
    """Return the instrument file of an instrument that comes with the program; None for the default twin, which has none."""
    return None if name is InstrumentName.FIBRE else SHIPPED_INSTRUMENTS / f"{name}.yaml"


def chosen_file(config: Path | None, instrument: InstrumentName | None) -> Path | None:
    """Return the instrument file that two options choose.

    Parameters
    ----------
    config : Path, optional
        Value of ``--config``.
    instrument : InstrumentName, optional
        Value of ``--instrument``.

    Raises
    ------
    ConfigError
        Both are given.
    """
    if config is not None and instrument is not None:
        raise ConfigError(f"--config {config} and --instrument {instrument} choose two instruments; leave one of them out")
    return shipped_file(instrument) if instrument is not None else config


def replay_of(archive: Path) -> InstrumentConfig:
    """Return the instrument that plays a recording or a dataset in place of a camera."""
    return InstrumentConfig(
        name=f"replay of {archive.name}", camera=CameraKind.REPLAY, slm=SlmKind.NONE, replay=ReplayConfig(path=archive)
    )


def checked(content: Mapping[str, object], origin: str, file: Path | None = None) -> InstrumentConfig:
    """Return the configuration with these values.

    Parameters
    ----------
    content : mapping
        Keys and values of an instrument file.
    origin : str
        Where they come from; error messages begin with it.
    file : Path, optional
        The instrument file that most of them come from.

    Raises
    ------
    ConfigError
        States the origin, the key, its value and what was expected.
    """
    content = {key: _with_home(value) for key, value in content.items()}
    if reason := wrong_number(content, InstrumentConfig):
        raise ConfigError(f"{origin}: {reason}")
    try:
        return InstrumentConfig.model_validate(content, context=file)
    except pydantic.ValidationError as error:
        raise ConfigError(f"{origin}: {explain(error, _known_keys())}") from error


def to_yaml(config: InstrumentConfig) -> str:
    """Return the complete configuration as YAML that :func:`load_config` reads back."""
    return dump_yaml(config.model_dump(mode="json"))


def save_config(config: InstrumentConfig, path: Path) -> None:
    """Write the values that differ from the defaults; :func:`load_config` reads the same configuration back.

    The file is written completely or not at all.

    Raises
    ------
    SpeckleScopeError
        The file cannot be written.
    """
    changed = config.model_dump(mode="json", exclude_defaults=True)
    text = "# An instrument of SpeckleScope; values that are not named here have their defaults.\n" + dump_yaml(changed)
    write_whole(path, text, "choose another folder for the instrument file")


def _with_home(value: object) -> object:
    """Replace "~/" at the beginning of every path by the home folder, as a shell does."""
    if isinstance(value, Mapping):
        return {key: _with_home(item) for key, item in value.items()}
    if isinstance(value, str) and value.startswith(("~/", "~\\")):
        return str(Path(value).expanduser())
    return value.expanduser() if isinstance(value, Path) else value


def _known_keys() -> list[str]:
    """Return the keys of all sections of an instrument file."""
    sections: list[type[object]] = [
        InstrumentConfig,
        *(type(getattr(InstrumentConfig(), name)) for name in InstrumentConfig.model_fields),
    ]
    sections += [Roi, OpticsConfig, SimulatedSlmConfig, SimulatedCameraConfig, FaultConfig, SensorConfig]
    keys: list[str] = []
    for section in sections:
        if isinstance(section, type) and issubclass(section, BaseModel):
            keys += section.model_fields
        elif is_dataclass(section):
            keys += [item.name for item in fields(section)]
    return keys
