"""What of a lung network's mask is consolidation that the thresholds missed, on a body drawn by hand."""

import numpy as np
import pytest
from monai.transforms import Orientation

from normnet import bundle_root, classical_lungs, joined_lungs
from normnet.joined_lungs import join, on_ct_grid
from normnet.masks import read_mask
from normnet.reading import read_ct
from normnet.surroundings import body_tissue
from tests.normnet.test_classical_lungs import dice

SIZE = (3.0, 3.0, 3.0)
CONSOLIDATION = np.s_[10:20, 8:18, 10:20]


def chest() -> tuple[np.ndarray, np.ndarray]:
    """A body in air with one lung; the back of it is as dense as the chest wall."""
    coarse = np.full((50, 50, 30), -1000.0)
    coarse[5:45, 3:45] = 40
    aerated = np.zeros(coarse.shape, dtype=bool)
    aerated[8:22, 18:38, 5:25] = True
    coarse[aerated] = -850
    return coarse, aerated


def consolidation() -> np.ndarray:
    mask = np.zeros((50, 50, 30), dtype=bool)
    mask[CONSOLIDATION] = True
    return mask


def joined_without(voxels: tuple[slice, ...]) -> np.ndarray:
    """Joins a network's mask that holds the consolidation and `voxels` too."""
    coarse, aerated = chest()
    by_network = aerated | consolidation()
    by_network[voxels] = True
    return join(coarse, body_tissue(coarse, SIZE), aerated, by_network, SIZE)


def test_consolidation_that_touches_the_lung_is_joined():
    coarse, aerated = chest()

    added = join(coarse, body_tissue(coarse, SIZE), aerated, aerated | consolidation(), SIZE)

    assert not (added & ~consolidation()).any()
    assert (added & consolidation()).sum() > 0.98 * consolidation().sum()  # but for its very corners


def test_where_the_network_agrees_with_the_thresholds_nothing_is_joined():
    coarse, aerated = chest()

    assert not join(coarse, body_tissue(coarse, SIZE), aerated, aerated, SIZE).any()


@pytest.mark.parametrize(
    "voxels",
    [
        pytest.param(np.s_[7:8, 18:38, 5:25], id="a rim of the chest wall"),
        pytest.param(np.s_[30:40, 20:30, 10:20], id="tissue far from the lung"),
        pytest.param(np.s_[22:44, 20:30, 10:20], id="tissue that hardly touches the lung"),
        pytest.param(np.s_[0:4, 20:30, 10:20], id="outside air"),
    ],
)
def test_what_is_thin_far_or_outside_is_not_joined(voxels):
    np.testing.assert_array_equal(joined_without(voxels), joined_without(CONSOLIDATION))


def test_air_that_the_network_calls_lung_is_left_to_the_thresholds():
    coarse, aerated = chest()
    coarse[CONSOLIDATION] = -950

    assert not join(coarse, body_tissue(coarse, SIZE), aerated, aerated | consolidation(), SIZE).any()


def test_a_joined_ball_is_round_on_the_voxels_and_leaves_no_seam():
    offsets = np.indices((48, 48, 48)) - 23.5
    ball = np.sqrt((offsets**2).sum(axis=0)) < 15
    aerated = ball & (offsets[0] < 0)
    share = aerated.reshape(12, 4, 12, 4, 12, 4).mean(axis=(1, 3, 5))
    dense = (ball & ~aerated).reshape(12, 4, 12, 4, 12, 4).mean(axis=(1, 3, 5)) > 0.5
    by_blocks = aerated | np.kron(dense, np.ones((4, 4, 4), dtype=bool))

    lungs = aerated | on_ct_grid(dense, share, (4, 4, 4), ball.shape)

    assert (lungs ^ ball).sum() < 0.8 * (by_blocks ^ ball).sum()
    assert lungs[:, 23, 23][ball[:, 23, 23]].all()  # from the aerated half into the dense one


def test_nothing_is_joined_where_no_block_is_dense():
    share = np.ones((4, 4, 4))

    assert not on_ct_grid(np.zeros(share.shape, dtype=bool), share, (2, 2, 2), (9, 8, 8)).any()


@pytest.mark.real_ct
def test_real_healthy_lungs_stay_and_real_consolidation_is_joined(real_ct):
    model = f"{bundle_root()}/models/lungs"
    for name, least_ml, most_ml in (
        ("normal001.nii.gz", 0, 10),
        ("covid_p001.nii.gz", 0, 10),  # no consolidation at the pleura; a full stomach under the dome
        ("cap001.nii.gz", 5, 100),
    ):
        ct = Orientation(axcodes="RAS", labels=None)(read_ct(real_ct / name))
        volume, spacing = ct[0].numpy(), tuple(ct.pixdim.tolist())

        thresholds = classical_lungs.segment(volume, spacing)
        joined = joined_lungs.segment(volume, spacing, model)

        assert (joined >= thresholds).all()
        added_ml = (joined & ~thresholds).sum() * np.prod(spacing) / 1000
        assert least_ml <= added_ml <= most_ml, name


@pytest.mark.real_ct
def test_small_real_ct_agrees_with_its_published_labels(real_ct):
    ct = Orientation(axcodes="RAS", labels=None)(read_ct(real_ct / "cip64" / "ct-64.nrrd"))
    truth = read_mask(real_ct / "cip64" / "lm-64.nrrd", like=ct)[0].numpy() > 0

    mask = joined_lungs.segment(ct[0].numpy(), tuple(ct.pixdim.tolist()), f"{bundle_root()}/models/lungs")

    assert dice(mask, truth) > 0.97
