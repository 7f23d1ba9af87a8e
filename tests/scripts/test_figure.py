"""The pictures of Fig. 5 and 6: the colours say what was found, missed and made up."""

from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from scripts.figure import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE, figure, lung_box, overlay


def test_found_missed_and_made_up_have_their_colours() -> None:
    found = np.array([[True, False, True, False]])
    lesion = np.array([[True, True, False, False]])
    picture = overlay(np.full((1, 4), 0.5), found, lesion)
    wanted = [TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE, (0.5, 0.5, 0.5)]
    assert np.allclose(picture[0], wanted)


def test_the_picture_is_cut_to_the_lungs() -> None:
    lungs = np.zeros((9, 8, 3), dtype=bool)
    lungs[2, 5, 0] = lungs[4, 3, 2] = True
    assert lung_box(lungs) == (slice(2, 5), slice(3, 6))


def test_one_row_for_each_result(tmp_path: Path) -> None:
    def write(name: str, volume: np.ndarray) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(volume, np.eye(4)), path)
        return path

    lesion = np.zeros((20, 20, 5), dtype=np.uint8)
    lesion[5:10, 5:10, 2] = 1
    ct = np.where(lesion, -200, -900).astype(np.int16)
    ct[15:] = 40
    image, truth = write("ct.nii.gz", ct), write("ct_lesions.nii.gz", lesion)
    for method in ("vae", "normnet"):
        write(f"{method}/results/ct/lungs.nii.gz", np.ones_like(lesion))
        write(f"{method}/results/ct/lesion.nii.gz", lesion)
    write("normnet/results/ct/healthy.nii.gz", np.zeros_like(lesion))
    for name in ("reconstruction", "anomaly"):
        write(f"vae/results/ct/{name}.nii.gz", lesion * np.float32(0.5))
    folders = [str(tmp_path / method / "results" / "ct") for method in ("vae", "normnet")]
    heights = []
    for shown in (folders[:1], folders):
        figure(str(image), str(truth), str(tmp_path / "figure.png"), *shown)
        with Image.open(tmp_path / "figure.png") as picture:
            heights.append(picture.height)
            pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3) / 255
    assert heights[1] == 2 * heights[0]
    green = np.isclose(pixels, TRUE_POSITIVE, atol=0.01).all(axis=1)
    red = np.isclose(pixels, FALSE_POSITIVE, atol=0.01).all(axis=1)
    assert green.sum() > 100
    assert not red.any()
