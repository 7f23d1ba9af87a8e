"""Lungs by thresholds and components, on chests drawn by hand (ellipsoids in mm)."""

from collections.abc import Sequence

import numpy as np
import pytest

from generator.chest import make_chest
from normnet.classical_lungs import MIN_LUNG_ML, segment

FIELD_MM = (384, 300, 240)
SPACING = (4.0, 4.0, 4.0)
LUNG, AIR, TISSUE, BLOOD = -850, -1000, 20, 40
RIGHT, LEFT = (75, 0, 0), (-75, 0, 0)
LUNG_AXES = (55, 75, 100)


class Drawing:
    """A volume in which shapes are drawn in mm; x to the patient's right, y to the front, z to the head."""

    def __init__(self, spacing: Sequence[float] = SPACING, field_mm: Sequence[float] = FIELD_MM) -> None:
        self.spacing = tuple(spacing)
        self.shape = tuple(round(mm / step) for mm, step in zip(field_mm, spacing, strict=True))
        axes = ((np.arange(n) - (n - 1) / 2) * s for n, s in zip(self.shape, spacing, strict=True))
        self.x, self.y, self.z = np.meshgrid(*axes, indexing="ij", sparse=True)
        self.ct = np.full(self.shape, AIR, dtype=np.float32)

    def ellipsoid(self, centre: Sequence[float], axes: Sequence[float]) -> np.ndarray:
        steps = (self.x - centre[0], self.y - centre[1], self.z - centre[2])
        return sum((step / axis) ** 2 for step, axis in zip(steps, axes, strict=True)) <= 1

    def tube(self, centre: Sequence[float], radius: float, low: float, high: float) -> np.ndarray:
        """Along z."""
        across = (self.x - centre[0]) ** 2 + (self.y - centre[1]) ** 2 <= radius**2
        return across & (self.z >= low) & (self.z <= high)

    def box(self, low: Sequence[float], high: Sequence[float]) -> np.ndarray:
        inside = [
            (axis >= a) & (axis <= b) for axis, a, b in zip((self.x, self.y, self.z), low, high, strict=True)
        ]
        return inside[0] & inside[1] & inside[2]


def chest(
    spacing: Sequence[float] = SPACING, field_mm: Sequence[float] = FIELD_MM
) -> tuple[Drawing, np.ndarray]:
    """A body with two ellipsoidal lungs, and the lungs."""
    drawing = Drawing(spacing, field_mm)
    drawing.ct[np.broadcast_to((drawing.x / 165) ** 2 + (drawing.y / 110) ** 2 <= 1, drawing.shape)] = TISSUE
    lungs = drawing.ellipsoid(RIGHT, LUNG_AXES) | drawing.ellipsoid(LEFT, LUNG_AXES)
    drawing.ct[lungs] = LUNG
    return drawing, lungs


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize(
    "spacing",
    [(3.0, 3.0, 3.0), (1.0, 1.5, 6.0), (2.0, 2.0, 5.0), (6.0, 6.0, 10.0)],
)
def test_two_ellipsoids_come_back_voxel_for_voxel(spacing):
    drawing, lungs = chest(spacing)

    np.testing.assert_array_equal(segment(drawing.ct, drawing.spacing), lungs)


def test_the_border_is_exact_where_the_grid_is_finer_than_the_working_grid():
    drawing, lungs = chest((0.75, 0.75, 8.0))

    np.testing.assert_array_equal(segment(drawing.ct, drawing.spacing), lungs)


def test_vessels_inside_a_lung_are_kept():
    drawing, lungs = chest()
    vessel = drawing.tube((75, 10, 0), 4, -80, 80)
    drawing.ct[vessel] = BLOOD

    mask = segment(drawing.ct, SPACING)

    assert mask[vessel & lungs].all()
    np.testing.assert_array_equal(mask, lungs)


def test_a_nodule_inside_a_lung_is_kept():
    drawing, lungs = chest()
    nodule = drawing.ellipsoid((75, -20, 10), (15, 15, 15))
    drawing.ct[nodule] = TISSUE

    np.testing.assert_array_equal(segment(drawing.ct, SPACING), lungs)


def test_dense_ground_glass_against_the_pleura_is_kept_but_for_its_rim():
    drawing, lungs = chest((3.0, 3.0, 3.0))
    ground_glass = drawing.ellipsoid((75, -70, 0), (18, 18, 18)) & lungs
    drawing.ct[ground_glass] = -320

    mask = segment(drawing.ct, drawing.spacing)

    assert mask[ground_glass].mean() > 0.8
    assert not (mask & ~lungs).any()


def test_trachea_and_main_bronchi_are_left_out():
    drawing, lungs = chest()
    trachea = drawing.tube((0, 0, 0), 9, 30, 120)
    bronchi = drawing.box((-30, -6, 25), (30, 6, 36))
    drawing.ct[trachea | bronchi] = -990
    in_mediastinum = (trachea | bronchi) & ~lungs & (np.abs(drawing.x) < 15)

    mask = segment(drawing.ct, SPACING)

    assert not mask[in_mediastinum].any()
    assert dice(mask, lungs) > 0.98


def test_a_great_vessel_of_the_hilum_is_left_out():
    drawing, lungs = chest()
    artery = np.broadcast_to((drawing.y**2 + drawing.z**2 <= 12**2) & (np.abs(drawing.x) < 55), drawing.shape)
    drawing.ct[artery] = BLOOD
    trunk = (drawing.y**2 + drawing.z**2 <= 8**2) & (np.abs(drawing.x) < 45) & np.ones(drawing.shape, bool)

    mask = segment(drawing.ct, SPACING)

    assert not mask[trunk].any()
    assert mask[lungs & ~artery].all()


def test_heart_between_joined_lungs_is_not_filled():
    drawing, lungs = chest()
    ring = drawing.ellipsoid((0, 0, 0), (90, 80, 60)) & ~drawing.ellipsoid((0, 0, 0), (45, 50, 55))
    ring &= np.abs(drawing.z) < 50  # lung in front of and behind the heart: in axial slices it is enclosed
    heart = drawing.ellipsoid((0, 0, 0), (45, 50, 55)) & (np.abs(drawing.z) < 50)
    drawing.ct[ring] = LUNG
    drawing.ct[heart] = BLOOD

    mask = segment(drawing.ct, SPACING)

    assert mask[heart].mean() < 0.02
    assert dice(mask, (lungs | ring) & ~heart) > 0.98


def test_the_dome_of_the_diaphragm_is_not_filled():
    drawing, lungs = chest()
    dome = drawing.ellipsoid((75, 0, -100), (40, 55, 60))
    drawing.ct[dome] = TISSUE  # a ring of lung runs around it in axial slices

    np.testing.assert_array_equal(segment(drawing.ct, SPACING), lungs & ~dome)


def test_couch_and_outside_air_are_left_out():
    drawing, lungs = chest()
    drawing.ct[drawing.box((-180, -140, -120), (180, -114, 120))] = 0
    drawing.ct[drawing.box((-177, -136, -120), (177, -118, 120))] = LUNG  # its foam is as dark as lung

    np.testing.assert_array_equal(segment(drawing.ct, SPACING), lungs)


def test_clothes_on_the_chest_are_left_out():
    drawing, lungs = chest()
    drawing.ct[drawing.box((-150, 80, -120), (150, 150, 120)) & (drawing.ct == AIR)] = -700

    np.testing.assert_array_equal(segment(drawing.ct, SPACING), lungs)


def test_air_that_clothes_keep_in_a_hollow_of_the_chest_is_left_out():
    drawing, lungs = chest()
    drawing.ct[drawing.box((-24, 60, -200), (24, 92, 200))] = LUNG  # chest left, right and behind
    drawing.ct[drawing.box((-24, 92, -200), (24, 104, 200))] = -700

    np.testing.assert_array_equal(segment(drawing.ct, SPACING), lungs)


def test_gas_in_the_stomach_is_left_out_even_where_it_touches_the_lung():
    drawing, lungs = chest()
    stomach = drawing.ellipsoid((-75, 25, -110), (28, 28, 28)) & ~lungs
    drawing.ct[stomach] = -1000

    mask = segment(drawing.ct, SPACING)

    assert mask[stomach].mean() < 0.05
    assert dice(mask, lungs) > 0.98


def test_stool_below_the_lungs_is_left_out():
    drawing, lungs = chest(field_mm=(384, 300, 440))
    colon = drawing.tube((-80, 0, 0), 25, -200, -115)  # 167 mL, an eighth of a lung
    drawing.ct[colon] = -600

    mask = segment(drawing.ct, SPACING)

    assert not mask[colon].any()
    np.testing.assert_array_equal(mask, lungs)


def test_emphysema_is_no_gas_in_a_hollow_organ():
    drawing, lungs = chest()
    drawing.ct[lungs] = -935
    drawing.ct[drawing.ellipsoid((75, 60, 0), (40, 12, 60)) & lungs] = -950  # along the chest wall

    mask = segment(drawing.ct, SPACING)

    np.testing.assert_array_equal(mask, lungs)


def test_lungs_cut_by_the_sides_of_the_field_are_kept():
    drawing, lungs = chest(field_mm=(240, 300, 240))  # 15 mm of each lung lie outside

    mask = segment(drawing.ct, SPACING)

    assert lungs[0].any()
    np.testing.assert_array_equal(mask, lungs)


def test_lungs_cut_by_all_four_sides_of_the_field_are_kept():
    drawing, lungs = chest(field_mm=(228, 126, 240))

    mask = segment(drawing.ct, SPACING)

    assert lungs[:, 0].any() and lungs[:, -1].any()
    np.testing.assert_array_equal(mask, lungs)


def test_lungs_cut_by_the_lowest_and_the_highest_slice_are_kept():
    drawing, lungs = chest(field_mm=(384, 300, 120))

    mask = segment(drawing.ct, SPACING)

    assert lungs[..., 0].any()
    np.testing.assert_array_equal(mask, lungs)


def test_lungs_open_to_air_above_the_highest_slice_are_told_from_it():
    drawing, lungs = chest()
    drawing.ct[:, :, -20:] = AIR
    lungs[:, :, -20:] = False

    mask = segment(drawing.ct, SPACING)

    assert not mask[:, :, -20:].any()
    assert dice(mask, lungs) > 0.95  # up to 4 mm at the opening count as skin


@pytest.mark.parametrize("padding", [-1024, -2048, -3024])
def test_lungs_joined_to_padding_outside_a_round_field_are_told_from_it(padding):
    drawing, lungs = chest()
    outside = np.broadcast_to(drawing.x**2 + drawing.y**2 > 118**2, drawing.shape)
    drawing.ct[outside] = padding
    assert (lungs & outside).any()

    mask = segment(drawing.ct, SPACING)

    assert not mask[outside].any()
    assert dice(mask, lungs & ~outside) > 0.95


def test_no_lungs_says_how_much_air_was_found():
    drawing, _ = chest()
    drawing.ct[drawing.ct == LUNG] = TISSUE
    drawing.ct[drawing.ellipsoid((60, 0, 0), (14, 14, 14))] = LUNG  # 4/3 pi 14^3 mm3 = 11.5 mL

    with pytest.raises(
        ValueError, match=r"no lungs: the largest air region inside the body is 1[12] mL"
    ) as error:
        segment(drawing.ct, SPACING)
    assert f"of at least {MIN_LUNG_ML:.0f} mL wanted" in str(error.value)


def test_no_body_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="no lungs: no body"):
        segment(np.full((40, 40, 40), AIR, dtype=np.float32), SPACING)


def test_gas_as_large_as_a_lung_is_no_lung():
    drawing, _ = chest()
    drawing.ct[drawing.ct == LUNG] = -1010

    with pytest.raises(ValueError, match="no lungs"):
        segment(drawing.ct, SPACING)


@pytest.mark.parametrize(("seed", "spacing"), [(0, (4.0, 4.0, 4.0)), (1, (2.0, 2.0, 5.0))])
def test_synthetic_chests_are_segmented_as_they_were_drawn(seed, spacing):
    shape = tuple(round(mm / step) for mm, step in zip((358, 307, 240), spacing, strict=True))
    patient = make_chest(seed, shape=shape, spacing=spacing)

    mask = segment(patient.ct, spacing)

    assert dice(mask, patient.lungs) > 0.98
    assert mask[patient.vessels & patient.lungs].mean() > 0.98
    assert mask[patient.airways & ~patient.lungs].mean() < 0.1
