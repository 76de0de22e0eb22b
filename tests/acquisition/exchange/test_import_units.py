"""Files of other programs: dtype, unit and container of the phase, names of arrays, references, bits, times and pixel size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
import scipy.io
import tensorstore as ts
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.exchange.check_sums import CRC, FACTS
from acquisition.exchange.conversion.units import PhaseUnit
from acquisition.exchange.export import export
from acquisition.exchange.import_arrays import open_arrays
from acquisition.exchange.import_pairs import ImportOptions, PairImportError, check_pairs, import_pairs
from drivers.base import Pattern

PHASE_RANGE_RAD = 2.6
OPTIONS = ImportOptions(phase_range_rad=PHASE_RANGE_RAD)
COUNT = 4
SPECKLE = np.random.default_rng(0).integers(0, 256, (COUNT, 12, 20)).astype(np.uint8)
#: Row 1 is flat: the reference.
PHASE = np.random.default_rng(1).uniform(0, PHASE_RANGE_RAD, (COUNT, 12, 20)).astype(np.float32)
PHASE[1] = 0
PER_RAD = {
    PhaseUnit.RAD: 1.0,
    PhaseUnit.DEG: 180 / math.pi,
    PhaseUnit.PERCENT: 100 / PHASE_RANGE_RAD,
    PhaseUnit.LEVELS: 200 / PHASE_RANGE_RAD,
}


def npz(folder: Path, phase: np.ndarray) -> Path:
    np.savez(folder / "x.npz", speckle=SPECKLE, phase=phase)
    return folder / "x.npz"


def matlab(folder: Path, phase: np.ndarray) -> Path:
    scipy.io.savemat(folder / "x.mat", {"speckle": np.moveaxis(SPECKLE, 0, -1), "phase": np.moveaxis(phase, 0, -1)})
    return folder / "x.mat"


def tiff(folder: Path, phase: np.ndarray) -> Path:
    for name, data in (("speckle", SPECKLE), ("phase", phase)):
        tifffile.imwrite(folder / f"x_{name}.ome.tif", data, ome=True, photometric="minisblack", metadata={"axes": "TYX"})
    return folder / "x_speckle.ome.tif"


def hdf5(folder: Path, phase: np.ndarray) -> Path:
    with h5py.File(folder / "x.h5", "w") as file:
        file["speckle"], file["phase"] = SPECKLE, phase
    return folder / "x.h5"


CONTAINERS: dict[str, Callable[[Path, np.ndarray], Path]] = {"npz": npz, "matlab": matlab, "tiff": tiff}


def zarr_group(folder: Path, phase: np.ndarray, unit: str) -> Path:
    for name, data in (("speckle", SPECKLE), ("phase", phase)):
        attributes = {"units": unit} if name == "phase" else {}
        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": str(folder / "x.zarr" / name)},
            "metadata": {"shape": data.shape, "data_type": data.dtype.name, "attributes": attributes},
        }
        ts.open(spec, create=True).result().write(data).result()
    (folder / "x.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    return folder / "x.zarr"


def phases(path: Path) -> np.ndarray:
    archive = Archive.open(path)
    return np.stack([archive.read("phase", index) for index in range(len(archive))])


def check_every_way_in(write: Callable[[Path, np.ndarray], Path], dtype: str, unit: PhaseUnit, folder: Path) -> None:
    """A phase of one type and unit comes in as radians when its unit is stated, and is refused or right when it is not."""
    integers = np.dtype(dtype).kind in "iu"
    stored = PHASE.astype(np.float64) * PER_RAD[unit]
    source = write(folder, (np.round(stored) if integers else stored).astype(dtype))
    error = 0.5 / PER_RAD[unit] + 1e-5 if integers else 1e-5
    options = replace(OPTIONS, phase_unit=unit, phase_white=200.0 if unit is PhaseUnit.LEVELS else None)
    pairs, problems = open_arrays(source, options), list[str]()
    images = [image for image in pairs.images(problems) if image is not None]
    assert not problems
    for image, phase_rad in zip(images, PHASE, strict=True):
        np.testing.assert_allclose(image["phase"], phase_rad, atol=error, rtol=0)
    rows = [pairs.row(index, image) for index, image in enumerate(images)]
    assert [row.pattern_name == "blank" for row in rows] == [False, True, False, False]
    assert [row.pattern_id for row in rows] == [Pattern(image["phase"]).id for image in images]
    if integers or unit is not PhaseUnit.RAD:
        with pytest.raises(PairImportError, match="--phase-unit"):
            check_pairs(source, OPTIONS)
    else:
        notes = " ".join(check_pairs(source, OPTIONS).notes)
        assert "no unit is stated, so it counts as radians" in notes
        assert ("double precision (float64)" in notes) == (dtype == "float64")


@settings(max_examples=12, deadline=None)
@given(
    container=st.sampled_from(sorted(CONTAINERS)),
    dtype=st.sampled_from(("uint8", "uint16", "int16", "int32", "float32", "float64")),
    unit=st.sampled_from(PhaseUnit),
)
def test_type_unit_and_container_are_independent(container: str, dtype: str, unit: PhaseUnit) -> None:
    with TemporaryDirectory() as folder:
        check_every_way_in(CONTAINERS[container], dtype, unit, Path(folder))


def test_hdf5_is_like_the_others(tmp_path: Path) -> None:
    check_every_way_in(hdf5, "int16", PhaseUnit.DEG, tmp_path)


@pytest.mark.parametrize("container", ["npz", "tiff"])
def test_a_pixel_without_a_phase_is_named_and_can_be_filled(tmp_path: Path, container: str) -> None:
    phase = PHASE.copy()
    phase[2, 3, 4] = np.nan
    source = CONTAINERS[container](tmp_path, phase)
    with pytest.raises(PairImportError, match=r"image 2 of 'phase' is nan in pixel row 3, column 4.*--phase-fill"):
        check_pairs(source, OPTIONS)
    path = import_pairs(source, tmp_path / "archives", "x", replace(OPTIONS, phase_fill=0.25))
    assert phases(path)[2, 3, 4] == 0.25
    assert "1 pixels in 1 images were not finite" in str(Archive.open(path).metadata["import_notes"])


def test_arrays_of_other_names_are_chosen(tmp_path: Path) -> None:
    source = tmp_path / "x.npz"
    np.savez(source, cam=SPECKLE, target=PHASE, mask=np.ones((COUNT, 12, 20), np.int64))
    with pytest.raises(PairImportError, match=r"its arrays of three axes are: .*cam.*--speckle NAME and --phase NAME"):
        check_pairs(source, OPTIONS)
    check = check_pairs(source, replace(OPTIONS, speckle="cam", phase="target"))
    assert [spec.name for spec in check.arrays] == ["speckle", "phase"]
    assert any("'mask'" in note and "left out" in note for note in check.notes)


def test_the_phase_may_be_in_another_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "camera.tif", SPECKLE, photometric="minisblack")
    np.savez(tmp_path / "slm.npz", phase=PHASE)
    with pytest.raises(PairImportError, match="--phase NAME"):
        check_pairs(tmp_path / "camera.tif", OPTIONS)
    path = import_pairs(tmp_path / "camera.tif", tmp_path / "archives", "x", replace(OPTIONS, phase="slm.npz"))
    np.testing.assert_array_equal(phases(path), PHASE)
    np.testing.assert_array_equal(Archive.open(path).read("speckle", 3), SPECKLE[3])


def test_radians_of_ours_do_not_make_the_phase_of_another_program_ours(tmp_path: Path) -> None:
    source = import_pairs(npz(tmp_path, PHASE), tmp_path / "archives", "x", OPTIONS)
    [own] = export(Archive.open(source), tmp_path / "out", ["npz"])
    np.savez(tmp_path / "degrees.npz", phase=np.degrees(PHASE))
    options = ImportOptions(phase=str(tmp_path / "degrees.npz"))
    with pytest.raises(PairImportError, match="--phase-unit"):
        check_pairs(own, options)
    path = import_pairs(own, tmp_path / "archives", "y", replace(options, phase_unit=PhaseUnit.DEG))
    np.testing.assert_allclose(phases(path), PHASE, atol=1e-6)


def test_a_file_of_ours_that_somebody_changed_is_looked_at_like_any_other(tmp_path: Path) -> None:
    first = Archive.open(import_pairs(npz(tmp_path, PHASE), tmp_path / "archives", "x", OPTIONS))
    [file] = export(first, tmp_path / "out", ["npz"])
    with np.load(file) as loaded:
        content = {name: loaded[name] for name in loaded if name != FACTS and not name.startswith(CRC)}
    np.savez(tmp_path / "changed.npz", **(content | {"phase": np.degrees(content["phase"])}))
    with pytest.raises(PairImportError, match="--phase-unit"):
        check_pairs(tmp_path / "changed.npz")
    check = check_pairs(tmp_path / "changed.npz", ImportOptions(phase_unit=PhaseUnit.DEG))
    np.testing.assert_allclose(check.thumbnails[2].phase, PHASE[2], atol=1e-6)


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e300])
def test_a_time_that_is_none_is_refused_in_one_line(tmp_path: Path, value: float) -> None:
    np.savez(tmp_path / "x.npz", speckle=SPECKLE, phase=PHASE, t_ns=np.full(COUNT, value))
    with pytest.raises(PairImportError, match="the facts of image 0 of 'speckle' are wrong"):
        check_pairs(tmp_path / "x.npz", OPTIONS)


@pytest.mark.parametrize("value", ["1e999", "true", '"2"', "-1"])
def test_a_phase_range_that_is_none_limits_nothing(tmp_path: Path, value: str) -> None:
    metadata = np.array(f'{{"phase_range_rad": {value}}}')
    np.savez(tmp_path / "x.npz", speckle=SPECKLE, phase=np.degrees(PHASE), metadata_json=metadata)
    with pytest.raises(PairImportError):
        check_pairs(tmp_path / "x.npz")


def test_names_of_the_file_are_kept_and_its_references_can_be_named(tmp_path: Path) -> None:
    names = np.array(["a", "flat", "c", "d"])
    np.savez(tmp_path / "x.npz", speckle=SPECKLE, phase=PHASE, pattern_name=names, pattern_id=np.array(["1", "2", "3", "4"]))
    check = check_pairs(tmp_path / "x.npz", OPTIONS)
    assert any("--reference-name 'flat'" in note for note in check.notes)
    path = import_pairs(tmp_path / "x.npz", tmp_path / "archives", "x", replace(OPTIONS, reference_name="flat"))
    assert [row.pattern_name for row in Archive.open(path).rows()] == ["a", "blank", "c", "d"]
    assert [row.pattern_id for row in Archive.open(path).rows()] == ["1", "2", "3", "4"]


def test_twelve_bits_in_sixteen_stay_twelve(tmp_path: Path) -> None:
    speckle = np.random.default_rng(2).integers(0, 4096, (COUNT, 12, 20)).astype(np.uint16)
    np.savez(tmp_path / "x.npz", speckle=speckle, phase=PHASE)
    path = import_pairs(tmp_path / "x.npz", tmp_path / "archives", "x", replace(OPTIONS, bit_depth=12))
    assert Archive.open(path).metadata["bit_depth"] == 12
    with pytest.raises(PairImportError, match="give a larger --bit-depth"):
        check_pairs(tmp_path / "x.npz", replace(OPTIONS, bit_depth=10))
    assert check_pairs(tmp_path / "x.npz", OPTIONS).metadata["bit_depth"] == 12


def test_files_without_times_get_a_stated_period(tmp_path: Path) -> None:
    source = npz(tmp_path, PHASE)
    path = import_pairs(source, tmp_path / "archives", "x", replace(OPTIONS, period_s=0.04, pixel_um=0.65))
    assert [row.t_ns for row in Archive.open(path).rows()] == [0, 40_000_000, 80_000_000, 120_000_000]
    assert Archive.open(path).metadata["pixel_um"] == 0.65
    [own] = export(Archive.open(path), tmp_path / "out", ["npz"])
    with pytest.raises(PairImportError, match="leave --period-s out"):
        check_pairs(own, ImportOptions(period_s=0.04))


@pytest.mark.parametrize("file_format", ["npz", "matlab"])
def test_an_exported_recording_comes_back_with_its_gaps(tmp_path: Path, file_format: str) -> None:
    specs = [ArraySpec("speckle", (12, 20), "uint8"), ArraySpec("phase", (12, 20), "float32")]
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=specs, metadata={"phase_range_rad": PHASE_RANGE_RAD})
    with ArchiveWriter.create(tmp_path / "in", spec, 3) as writer:
        for index, phase in enumerate((-40 * PHASE[0], np.full_like(PHASE[0], np.nan), PHASE[1])):
            extra = {"not_reconstructed": 1} if index == 1 else {}
            row = PairRow(frame_index=index, t_ns=index + 5, exposure_s=0.01, extra=extra)
            writer.append({"speckle": SPECKLE[index], "phase": phase}, row)
    recording = Archive.open(writer.path)
    [file] = export(recording, tmp_path / "out", [file_format])
    again = Archive.open(import_pairs(file, tmp_path / "again", "x"))
    for index, row in enumerate(again.rows()):
        np.testing.assert_array_equal(again.read("phase", index), recording.read("phase", index))
        assert (row.pattern_id, row.pattern_name, row.extra) == ("", "", recording.row(index).extra)
    assert "1 images of the recording have pixels without a phase" in str(again.metadata["import_notes"])


def test_the_published_layout_comes_back_within_half_a_level(tmp_path: Path) -> None:
    first = Archive.open(import_pairs(npz(tmp_path, PHASE), tmp_path / "archives", "x", OPTIONS))
    [folder] = export(first, tmp_path / "out", ["specdiffusion"])
    again = import_pairs(folder, tmp_path / "again", "x")
    np.testing.assert_allclose(phases(again), PHASE, atol=PHASE_RANGE_RAD / 255 / 2 * 1.001, rtol=0)
    assert [row.pattern_name == "blank" for row in Archive.open(again).rows()] == [False, True, False, False]


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("key", ["phase_range_rad", "phase_white", "speckle_white", "pixel_um", "period_s"])
def test_quantities_must_be_above_zero(tmp_path: Path, key: str, value: float) -> None:
    with pytest.raises(PairImportError, match=f"--{key.replace('_', '-')}.* must be above 0; it is {value}"):
        check_pairs(tmp_path / "x.npz", ImportOptions(**{key: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "reason"), [("x.mp4", "MP4 is for viewing.*OME-TIFF"), ("x.MKV", "no phase.*NPZ")])
def test_videos_are_refused_with_the_formats_that_come_back(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / name).write_bytes(b"video")
    with pytest.raises(PairImportError, match=reason):
        check_pairs(tmp_path / name, OPTIONS)


def test_a_check_tells_how_everything_was_decided(tmp_path: Path) -> None:
    check = check_pairs(npz(tmp_path, PHASE), OPTIONS)
    assert check.facts["speckle_shape"] == "4x12x20 (N, H, W)"
    assert check.facts["phase_unit"] == "rad (assumed)"
    assert check.facts["phase_values_rad"] == [0.0, float(PHASE.max())]
    assert check.facts["references"] == "1 (by their flat phase)"
    assert check.facts["times"] == "none (--period-s states a period)"
    assert [view.title for view in check.thumbnails] == ["0 ", "1 blank", "2 ", "3 "]
    np.testing.assert_array_equal(check.thumbnails[2].phase, PHASE[2])


@pytest.mark.parametrize(
    ("spelling", "unit"),
    [
        ("deg", PhaseUnit.DEG),
        ("Degrees", PhaseUnit.DEG),
        ("\N{DEGREE SIGN}", PhaseUnit.DEG),
        ("%", PhaseUnit.PERCENT),
        ("radians", PhaseUnit.RAD),
        ("1", PhaseUnit.RAD),
    ],
)
def test_a_unit_that_the_file_states_is_used_and_told(tmp_path: Path, spelling: str, unit: PhaseUnit) -> None:
    source = hdf5(tmp_path, (PHASE * PER_RAD[unit]).astype(np.float32))
    with h5py.File(source, "a") as file:
        file["phase"].attrs["units"] = spelling
    archive = Archive.open(import_pairs(source, tmp_path / "archives", "x", OPTIONS))
    np.testing.assert_allclose(phases(archive.path), PHASE, atol=1e-5)
    check = check_pairs(source, OPTIONS)
    assert str(check.facts["phase_unit"]).startswith(f"{unit} (")
    assert spelling == "1" or any(f"states the unit {spelling!r}; it is read as {unit}" in note for note in check.notes)


@pytest.mark.parametrize("spelling", ["waves", "um", "a.u."])
def test_a_unit_that_is_none_of_a_phase_is_refused_until_the_operator_states_one(tmp_path: Path, spelling: str) -> None:
    source = zarr_group(tmp_path, PHASE, spelling)
    with pytest.raises(PairImportError, match=f"'phase' is in '{spelling}', as its file states: give --phase-unit rad, deg"):
        check_pairs(source, OPTIONS)
    check = check_pairs(source, replace(OPTIONS, phase_unit=PhaseUnit.RAD))
    assert any(f"states the unit {spelling!r}; it is read as rad" in note for note in check.notes)
    assert check.facts["phase_unit"] == "rad (stated)"


def test_radians_that_the_file_states_may_not_exceed_the_range_unless_the_operator_says_so(tmp_path: Path) -> None:
    source = zarr_group(tmp_path, PHASE * 20, "rad")
    with pytest.raises(PairImportError, match=r"beyond the phase range of 2\.6 rad: state its unit with --phase-unit"):
        check_pairs(source, OPTIONS)
    assert check_pairs(source, replace(OPTIONS, phase_unit=PhaseUnit.RAD)).count == COUNT


@pytest.mark.parametrize("period_s", [1e-12, 1e30])
def test_a_period_that_no_clock_counts_is_refused(tmp_path: Path, period_s: float) -> None:
    with pytest.raises(PairImportError, match="is no time from frame to frame: give 1e-09 to 1e"):
        check_pairs(npz(tmp_path, PHASE), replace(OPTIONS, period_s=period_s))


def test_single_values_that_are_no_quantities_are_not_used(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", speckle=SPECKLE, phase=PHASE, pixel_um=-1.0, phase_range_rad=np.nan)
    check = check_pairs(tmp_path / "x.npz", OPTIONS)
    assert (check.metadata.get("pixel_um"), check.metadata["phase_range_rad"]) == (None, PHASE_RANGE_RAD)


def test_a_name_of_references_that_no_pair_has_is_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", speckle=SPECKLE, phase=PHASE, pattern_name=["a", "flat", "b", "c"])
    notes = check_pairs(tmp_path / "x.npz", replace(OPTIONS, reference_name="Flat")).notes
    assert any("no pair has the name 'Flat' that --reference-name states; there are 'a', 'b', 'c', 'flat'" in n for n in notes)


def test_small_views_in_a_stack_are_left_out_and_told(tmp_path: Path) -> None:
    for name, data in (("speckle", SPECKLE), ("phase", PHASE)):
        with tifffile.TiffWriter(tmp_path / f"x_{name}.tif") as file:
            for number, image in enumerate(data):
                file.write(image, photometric="minisblack", metadata=None)
                if not number:
                    file.write(image[::4, ::4], photometric="minisblack", subfiletype=1, metadata=None)
    archive = Archive.open(import_pairs(tmp_path / "x_speckle.tif", tmp_path / "archives", "x", OPTIONS))
    np.testing.assert_array_equal(phases(archive.path), PHASE)
    assert any("1 of its pages are small views or masks" in note for note in archive.metadata["import_notes"])
