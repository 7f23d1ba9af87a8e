"""The rim between a lesion and the pleura."""

import re

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from normnet.errors import InputError
from normnet.pleural_rim import PleuralRimd, pleural_rim

MM = (1.0, 1.0, 1.0)
AIR, GLASS, BETWEEN, WALL = -850.0, -400.0, -250.0, 50.0


def chest_wall_at_a_lesion() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lung for x < 6, its partial volume with the wall at x = 6 and 7, wall from 8 on; a lesion where y < 4."""
    ct = np.full((12, 8, 5), AIR)
    ct[4:6, :4] = GLASS
    ct[6:8] = BETWEEN
    ct[8:] = WALL
    lungs = np.zeros(ct.shape, dtype=bool)
    lungs[:6] = True
    lesion = np.zeros(ct.shape, dtype=bool)
    lesion[4:6, :4] = True
    return lesion, lungs, ct


def test_the_rim_lies_between_lesion_and_wall_and_nowhere_else() -> None:
    lesion, lungs, ct = chest_wall_at_a_lesion()
    wanted = np.zeros(ct.shape, dtype=bool)
    wanted[6:8, :4] = True
    np.testing.assert_array_equal(pleural_rim(lesion, lungs, ct, MM, 3.0), wanted)
    np.testing.assert_array_equal(lesion, chest_wall_at_a_lesion()[0])


def test_the_rim_is_as_deep_as_it_may_be_in_mm() -> None:
    lesion, lungs, ct = chest_wall_at_a_lesion()
    assert pleural_rim(lesion, lungs, ct, MM, 1.0)[6, :4].all()
    assert not pleural_rim(lesion, lungs, ct, MM, 1.0)[7].any()
    assert not pleural_rim(lesion, lungs, ct, (2.0, 2.0, 2.0), 3.0)[7].any()
    assert not pleural_rim(lesion, lungs, ct, MM, 0.0).any()


def test_without_a_lesion_at_the_pleura_there_is_no_rim() -> None:
    lesion, lungs, ct = chest_wall_at_a_lesion()
    assert not pleural_rim(np.zeros_like(lesion), lungs, ct, MM, 3.0).any()
    inside = np.roll(lesion, -3, axis=0)
    assert not pleural_rim(inside, lungs, ct, MM, 3.0).any()


def test_lesions_near_each_other_have_the_rim_that_each_would_have() -> None:
    lesion, lungs, ct = chest_wall_at_a_lesion()
    both = lesion.copy()
    both[5, 5:7] = True
    alone = both & ~lesion
    np.testing.assert_array_equal(
        pleural_rim(both, lungs, ct, MM, 3.0),
        pleural_rim(lesion, lungs, ct, MM, 3.0) | pleural_rim(alone, lungs, ct, MM, 3.0),
    )


def test_lungs_get_the_rim_too() -> None:
    lesion, lungs, ct = chest_wall_at_a_lesion()
    study = {
        "ct": MetaTensor(torch.as_tensor(ct)[None], affine=torch.eye(4)),
        "lesion": MetaTensor(torch.as_tensor(lesion.astype(np.uint8))[None], affine=torch.eye(4)),
        "lung_mask": MetaTensor(torch.as_tensor(lungs.astype(np.uint8))[None], affine=torch.eye(4)),
    }
    found = PleuralRimd("lesion")(study)
    rim = pleural_rim(lesion, lungs, ct, MM, 3.0)
    np.testing.assert_array_equal(found["lesion"][0].numpy() > 0, lesion | rim)
    np.testing.assert_array_equal(found["lung_mask"][0].numpy() > 0, lungs | rim)
    assert found["lesion"].dtype == torch.uint8 and found["lung_mask"].dtype == torch.uint8
    assert not study["lung_mask"].numpy()[0, 6:].any()


@pytest.mark.parametrize("depth", [-1, "3", None, float("nan"), float("inf")])
def test_a_depth_that_is_no_distance_is_refused_in_a_sentence(depth: object) -> None:
    with pytest.raises(InputError, match=re.escape(f"rim_mm: expected a distance in mm, found {depth!r}.")):
        PleuralRimd("lesion", depth_mm=depth)  # type: ignore[arg-type]


def test_the_rim_is_the_same_in_small_cubes(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    ct = rng.choice([AIR, BETWEEN, WALL], (30, 24, 20)).astype(np.float32)
    lungs = ct == AIR
    lesion = lungs & (rng.random(ct.shape) < 0.3)
    whole = pleural_rim(lesion, lungs, ct, (0.8, 1.0, 2.0), 3.0)
    monkeypatch.setattr("normnet.pleural_rim.CUBE", 7)
    np.testing.assert_array_equal(pleural_rim(lesion, lungs, ct, (0.8, 1.0, 2.0), 3.0), whole)
