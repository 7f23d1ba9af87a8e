"""The synthetic chest holds the anatomy that it promises, whatever the grid."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

from generator.chest import Chest, make_chest
from generator.cohort import write_cohort
from generator.vessels import Tree, draw, grow_tree, join, polyline

SHAPE, SPACING = (112, 96, 60), (3.2, 3.2, 4.0)
COARSE, COARSE_SPACING = (75, 64, 40), (4.8, 4.8, 6.0)


@pytest.fixture(scope="module")
def chest() -> Chest:
    return make_chest(11, shape=SHAPE, spacing=SPACING)


def millilitres(mask: np.ndarray, spacing: tuple[float, float, float]) -> float:
    return float(mask.sum() * np.prod(spacing) / 1000)


def positions(chest: Chest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World x, y, z in mm, broadcastable over the volume."""
    axes = [
        first + step * np.arange(n)
        for first, step, n in zip(chest.affine[:3, 3], chest.spacing, chest.ct.shape, strict=True)
    ]
    return axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]


def both_lungs(chest: Chest) -> tuple[np.ndarray, np.ndarray]:
    """The two largest components of the lung mask, the one of larger x first."""
    labels, _ = ndimage.label(chest.lungs)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    first, second = (labels == label for label in np.argsort(sizes)[:-3:-1])
    x = np.arange(chest.ct.shape[0])[:, None, None]
    return (first, second) if (x * first).sum() / first.sum() > x.mean() else (second, first)


def test_arrays_share_one_ras_grid(chest: Chest) -> None:
    assert chest.ct.shape == chest.lungs.shape == chest.airways.shape == chest.vessels.shape == SHAPE
    assert chest.ct.dtype == np.float32
    assert chest.lungs.dtype == chest.airways.dtype == chest.vessels.dtype == bool
    assert nib.aff2axcodes(chest.affine) == ("R", "A", "S")
    np.testing.assert_allclose(np.diag(chest.affine)[:3], SPACING)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_separate_lungs_of_human_size_right_one_larger(seed: int) -> None:
    chest = make_chest(seed, shape=SHAPE, spacing=SPACING)
    right, left = both_lungs(chest)
    assert (right | left).sum() > 0.99 * chest.lungs.sum()
    assert 1200 < millilitres(left, SPACING) < millilitres(right, SPACING) < 3500


def test_heart_takes_its_place_from_the_left_lung(chest: Chest) -> None:
    x, y, z = positions(chest)
    front = (y > 20) & (y < 60) & (z > -50) & (z < -20)
    right = chest.lungs[np.broadcast_to(front & (x > 10) & (x < 70), SHAPE)].mean()
    left = chest.lungs[np.broadcast_to(front & (x < -10) & (x > -70), SHAPE)].mean()
    assert left < 0.6 * right


def test_right_dome_of_the_diaphragm_is_concave_and_filled_by_liver(chest: Chest) -> None:
    x, y, z = (np.broadcast_to(axis, SHAPE) for axis in positions(chest))
    right, _ = both_lungs(chest)
    base = np.where(right, z, np.inf).min(axis=2)
    under_dome = base[(np.abs(x[:, :, 0] - 58) < 10) & (np.abs(y[:, :, 0] - 14) < 10)].mean()
    assert under_dome > base[np.isfinite(base)].min() + 30
    liver = (np.abs(x - 60) < 25) & (np.abs(y - 10) < 25) & (z < -85) & (z > -105)
    assert 40 < chest.ct[liver].mean() < 75


def test_tissues_have_their_hounsfield_units(chest: Chest) -> None:
    lung = ndimage.binary_erosion(chest.lungs) & ~ndimage.binary_dilation(chest.vessels | chest.airways)
    assert -900 < np.median(chest.ct[lung]) < -800
    trachea = ndimage.binary_erosion(chest.airways)
    assert chest.ct[trachea].mean() < -850
    body = ndimage.binary_fill_holes(chest.ct > -300)
    assert (chest.ct[body] > 300).mean() > 0.01  # bone
    x, y, _ = positions(chest)
    front_air = np.broadcast_to((y > 115) & (np.abs(x) < 1e3), SHAPE)
    assert chest.ct[front_air].mean() == pytest.approx(-1000, abs=10)


def test_dependent_lung_is_denser() -> None:
    chest = make_chest(5, shape=SHAPE, spacing=SPACING)
    y = np.broadcast_to(positions(chest)[1], SHAPE)
    lung = ndimage.binary_erosion(chest.lungs) & ~ndimage.binary_dilation(chest.vessels | chest.airways)
    assert np.median(chest.ct[lung & (y < -40)]) > np.median(chest.ct[lung & (y > 30)]) + 10


def test_lungs_leave_out_trachea_and_main_bronchi(chest: Chest) -> None:
    x, _, _ = positions(chest)
    central = chest.airways & (np.abs(x) < 25)
    assert central.sum() > 50
    assert not (chest.lungs & central).any()


def test_trachea_opens_into_both_main_bronchi(chest: Chest) -> None:
    x, _, _ = positions(chest)
    labels, _ = ndimage.label(chest.airways)
    at_the_top = np.unique(labels[:, :, -1][chest.airways[:, :, -1]])
    assert len(at_the_top) == 1
    lumen = labels == at_the_top[0]
    assert (lumen & (x > 25)).any()
    assert (lumen & (x < -25)).any()


def test_vessels_are_soft_tissue_and_thin_out_towards_the_ribs() -> None:
    chest = make_chest(4, shape=(196, 168, 96), spacing=(1.8, 1.8, 2.5))
    calibre = ndimage.distance_transform_edt(chest.vessels, sampling=chest.spacing)
    assert chest.ct[calibre > 3.5].mean() == pytest.approx(42, abs=15)
    depth = ndimage.distance_transform_edt(chest.lungs, sampling=chest.spacing)
    near_ribs = chest.lungs & (depth < 12) & (np.abs(positions(chest)[0]) > 75)
    deep = chest.lungs & (depth > 20)
    assert chest.vessels[near_ribs].mean() < 0.2 * chest.vessels[deep].mean()
    # Thinner than a voxel is not gone: fine bright vessels raise the upper tail, by less than the deep ones.
    tail = [np.percentile(chest.ct[part], 98) - np.median(chest.ct[part]) for part in (near_ribs, deep)]
    assert 60 < tail[0] < 0.7 * tail[1]


def test_branches_near_the_border_are_thinner_than_near_the_root() -> None:
    rng = np.random.default_rng(1)
    cloud = rng.uniform(-50, 50, (4000, 3)).astype(np.float32)
    tips = cloud[np.linalg.norm(cloud, axis=1) < 50]
    tubes = grow_tree((-50, 0, 0), tips, np.zeros(len(tips), int), rng=rng).tubes(6.0)
    border = 50 - np.linalg.norm(tubes.end, axis=1)
    from_root = np.linalg.norm(tubes.end - (-50, 0, 0), axis=1)
    volume = tubes.radius**2 * np.linalg.norm(tubes.end - tubes.start, axis=1)
    near_border, near_root = (border < 8) & (from_root > 60), from_root < 30
    calibre = [np.average(tubes.radius[part], weights=volume[part]) for part in (near_border, near_root)]
    assert calibre[0] < 0.5 * calibre[1]


def test_finer_grid_shows_the_same_patient() -> None:
    coarse = make_chest(8, shape=COARSE, spacing=COARSE_SPACING)
    half = (2.4, 2.4, 3.0)
    fine = make_chest(8, shape=(150, 128, 80), spacing=half)
    assert millilitres(coarse.lungs, COARSE_SPACING) == pytest.approx(millilitres(fine.lungs, half), rel=0.03)
    bone = [(chest.ct > 250).sum() * np.prod(chest.spacing) for chest in (coarse, fine)]
    assert bone[0] == pytest.approx(bone[1], rel=0.25)
    assert abs(coarse.ct.mean() - fine.ct.mean()) < 5


def test_same_seed_same_chest_other_seed_other_chest_and_no_global_rng() -> None:
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first, again, other = (make_chest(s, shape=COARSE, spacing=COARSE_SPACING) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.ct, again.ct)
    np.testing.assert_array_equal(first.lungs, again.lungs)
    assert (first.lungs != other.lungs).mean() > 0.005
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(torch_before, torch.get_rng_state())


def test_a_grid_without_extent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got shape \(0, 10, 10\)"):
        make_chest(0, shape=(0, 10, 10))


def test_tree_reaches_every_tip_and_thins_at_every_fork() -> None:
    rng = np.random.default_rng(0)
    tips = rng.uniform(10, 60, (40, 3)).astype(np.float32)
    tree = grow_tree((0, 0, 0), tips, (tips[:, 0] > 35).astype(int), rng=rng)
    ends = tree.end[np.isclose(tree.share, 1 / 40)]
    assert len(ends) == 40
    np.testing.assert_allclose(np.sort(ends, axis=0), np.sort(tips, axis=0), atol=1e-3)
    assert (tree.share < tree.parent_share).all()
    assert len(tree.share) == 2 * 40 - 2  # two lobes, then every branch forks in two


def test_artery_beside_an_airway_stays_in_one_piece() -> None:
    tree = Tree(
        start=np.array([[0, 0, 0], [0, 0, 20]], np.float32),
        end=np.array([[0, 0, 20], [0, 9, 30]], np.float32),
        share=np.array([0.5, 0.25], np.float32),
        parent_share=np.array([1.0, 0.5], np.float32),
    )
    tubes = tree.tubes(4.0, beside=np.array([2, 0, 0], np.float32))
    np.testing.assert_allclose(tubes.end[0], tubes.start[1])
    assert tubes.radius[1] < tubes.radius[0] < 4.0


@pytest.mark.parametrize("radius", [0.3, 0.5, 3.0, 6.0])
def test_tube_keeps_its_volume_whatever_its_calibre(radius: float) -> None:
    tube = polyline([(-30, 1.3, 0.4), (30, 1.3, 0.4)], radius)
    covered = draw(tube, (41, 41, 41), (1.0, 1.0, 1.0), (-20, -20, -20))
    assert covered.min() >= 0 and covered.max() <= 1
    assert covered[20].sum() == pytest.approx(np.pi * radius**2, rel=0.25)


def test_tubes_drawn_together_are_the_brighter_of_each() -> None:
    one, two = polyline([(-5, 0, 0), (5, 0, 0)], 2.0), polyline([(0, -5, 0), (0, 5, 0)], 0.4)
    grid = ((15, 15, 15), (1.0, 1.0, 1.0), (-7, -7, -7))
    np.testing.assert_allclose(draw(join(one, two), *grid), np.maximum(draw(one, *grid), draw(two, *grid)))


def test_cohort_files_round_trip_with_geometry(tmp_path: Path) -> None:
    images = write_cohort(
        tmp_path, healthy=1, diseased=1, seed=2, shape=COARSE, spacing=COARSE_SPACING, lungs=True
    )
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert names == [
        "diseased/covid_0.nii.gz",
        "diseased/covid_0_lesions.nii.gz",
        "diseased/covid_0_lungs.nii.gz",
        "healthy/healthy_0.nii.gz",
        "healthy/healthy_0_lungs.nii.gz",
    ]
    assert images == [tmp_path / "healthy/healthy_0.nii.gz", tmp_path / "diseased/covid_0.nii.gz"]
    for path in tmp_path.rglob("*.nii.gz"):
        image = nib.load(path)
        assert image.shape == COARSE
        np.testing.assert_allclose(image.header.get_zooms(), COARSE_SPACING, rtol=1e-6)
        np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-4)
        assert image.header["qform_code"] == image.header["sform_code"] == 1
        is_mask = path.name.endswith(("_lesions.nii.gz", "_lungs.nii.gz"))
        assert image.get_data_dtype() == (np.uint8 if is_mask else np.int16)
    lesions, lungs = (
        np.asanyarray(nib.load(tmp_path / f"diseased/covid_0_{kind}.nii.gz").dataobj)
        for kind in ("lesions", "lungs")
    )
    assert 0 < lesions.sum() < lungs.sum()
    assert not (lesions & ~lungs.astype(bool)).any()


def test_cohort_grows_without_changing_its_first_patients(tmp_path: Path) -> None:
    grid = {"shape": COARSE, "spacing": COARSE_SPACING, "diseased": 0, "seed": 5}
    write_cohort(tmp_path / "small", healthy=1, **grid)
    write_cohort(tmp_path / "large", healthy=2, **grid)
    first, again, second = (
        np.asanyarray(nib.load(tmp_path / name).dataobj)
        for name in (
            "small/healthy/healthy_0.nii.gz",
            "large/healthy/healthy_0.nii.gz",
            "large/healthy/healthy_1.nii.gz",
        )
    )
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()


def test_an_interrupted_cohort_goes_on_and_another_seed_takes_its_place(tmp_path: Path) -> None:
    def write(**more: int) -> dict[str, int]:
        write_cohort(tmp_path, **{"healthy": 2, "diseased": 1, **more}, shape=COARSE, spacing=COARSE_SPACING)
        files = {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nii.gz")}
        return {name.removesuffix(".nii.gz"): written for name, written in files.items()}

    first = write(healthy=1, diseased=0)
    whole = write()
    assert whole["healthy_0"] == first["healthy_0"]
    (tmp_path / "healthy" / "healthy_1.nii.gz").unlink()
    (tmp_path / "diseased" / "covid_0.nii.gz").unlink()  # stopped between its lesions and its image
    again = write()
    assert again["healthy_0"] == whole["healthy_0"]
    assert again.keys() == whole.keys() and again["covid_0_lesions"] > whole["covid_0_lesions"]
    assert write() == again
    other = write(seed=1)
    assert all(other[name] > again[name] for name in again)


def test_cohort_of_a_negative_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="healthy=-1"):
        write_cohort(tmp_path, healthy=-1)


def test_a_point_that_rounds_up_to_the_end_of_the_grid_is_inside_it() -> None:
    """This patient's vessels draw a height that float32 rounds up to the field's very top."""
    assert make_chest(2749604155, shape=(144, 126, 80), spacing=(2.4, 2.4, 3.0)).ct.shape == (144, 126, 80)
