"""Instruments that come with the program: they are small copies of the default twin, and are chosen by their name."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.options import InstrumentOptions
from app.instrument.config import SHIPPED_INSTRUMENTS, ConfigError, InstrumentConfig, load_config, shipped_file
from app.instrument.kinds import InstrumentName
from drivers.twin.optics import FibreOptics


def test_every_name_has_a_file_and_every_file_a_name() -> None:
    assert shipped_file(InstrumentName.FIBRE) is None
    files = {shipped_file(name) for name in InstrumentName} - {None}
    assert files == set(SHIPPED_INSTRUMENTS.glob("*.yaml"))


@pytest.mark.parametrize(("name", "side_px", "cores"), [("fibre64", 64, 200), ("fibre128", 128, 800)])
def test_a_small_fibre_is_a_small_part_of_the_default_twin(name: str, side_px: int, cores: int) -> None:
    settings = InstrumentOptions(instrument=InstrumentName(name)).settings()
    small, usual = settings.twin.optics, InstrumentConfig().twin.optics
    assert small.image_px == side_px
    assert small.field_radius_um / small.image_px == pytest.approx(usual.field_radius_um / usual.image_px)
    assert small.lattice_grains == 1
    same = ("core_pitch_um", "pixel_um", "wavelength_um", "distance_um", "mode_radius_um", "phase_noise_rad")
    assert [getattr(small, key) for key in same] == [getattr(usual, key) for key in same]
    assert 0.7 * cores < FibreOptics(small).cores < 1.6 * cores
    assert settings.cell_px == 2


def test_nobody_writes_into_the_file_of_a_shipped_instrument() -> None:
    settings = load_config(shipped_file(InstrumentName.FIBRE64))
    assert settings.file is None
    assert settings.read_from == shipped_file(InstrumentName.FIBRE64)


def test_the_default_instrument_has_a_name() -> None:
    assert InstrumentOptions(instrument=InstrumentName.FIBRE).settings() == InstrumentConfig()


def test_two_instruments_at_once_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\n", "utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml and --instrument fibre64 choose two instruments"):
        InstrumentOptions(config=file, instrument=InstrumentName.FIBRE64).settings()
