from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from normnet.pictures import axial_slices, overlay_picture

SHAPE, SPACING = (40, 30, 24), (1.0, 1.0, 2.0)


@pytest.fixture
def study() -> dict[str, np.ndarray]:
    """A chest without anything found in it: two lungs of air in soft tissue."""
    lungs = np.zeros(SHAPE, dtype=bool)
    lungs[4:17, 6:24, 4:20] = lungs[23:36, 6:24, 4:20] = True
    nothing = np.zeros(SHAPE, dtype=bool)
    return {
        "ct": np.where(lungs, -850.0, 40.0),
        "lesion": nothing,
        "healthy": nothing,
        "lungs": lungs,
        "disagreement": np.zeros(SHAPE, dtype=np.float32),
    }


def draw(study: dict[str, np.ndarray], path: Path) -> np.ndarray:
    """(rows, columns, RGB) of the picture."""
    overlay_picture(path, **study, spacing=SPACING, title="case")
    return matplotlib.image.imread(path)[..., :3]


def reddish(picture: np.ndarray) -> np.ndarray:
    """Columns of the picture that hold the lesion's colour, as a share of its width."""
    red, green, blue = np.moveaxis(picture, -1, 0)
    third = slice(picture.shape[1] // 2, 3 * picture.shape[1] // 4)
    marked = (red > green + 0.2) & (red > blue + 0.2)
    return np.flatnonzero(marked[:, third].any(axis=0)) / (third.stop - third.start)


def test_a_lesion_of_the_right_lung_is_drawn_on_the_left(study, tmp_path):
    right = study | {"lesion": study["lungs"] & (np.arange(SHAPE[0]) > 30)[:, None, None]}
    left = study | {"lesion": study["lungs"] & (np.arange(SHAPE[0]) < 9)[:, None, None]}
    columns = reddish(draw(right, tmp_path / "right.png")), reddish(draw(left, tmp_path / "left.png"))
    assert columns[0].size and columns[0].max() < 0.5
    assert columns[1].size and columns[1].min() > 0.5


def test_a_study_without_lesions_has_a_picture_too(study, tmp_path):
    assert not reddish(draw(study, tmp_path / "none.png")).size
    assert [file.name for file in tmp_path.iterdir()] == ["none.png"]


def test_a_study_without_lungs_has_a_picture_too(study, tmp_path):
    assert draw(study | {"lungs": study["lesion"]}, tmp_path / "air.png").size


def test_slices_stand_for_equal_parts_of_the_mask():
    mask = np.zeros((4, 4, 40), dtype=bool)
    mask[..., 8:16] = True
    assert axial_slices(mask, count=4) == [14, 12, 10, 8]


def test_every_slice_shown_holds_some_of_the_mask():
    mask = np.zeros((4, 4, 40), dtype=bool)
    mask[..., [3, 37]] = True
    assert axial_slices(mask, count=4) == [37, 3]
    assert axial_slices(np.zeros_like(mask)) == [20]


def test_volumes_of_two_shapes_are_refused(study, tmp_path):
    with pytest.raises(ValueError, match="one shape"):
        draw(study | {"ct": study["ct"][:5]}, tmp_path / "none.png")
    assert not list(tmp_path.iterdir())
