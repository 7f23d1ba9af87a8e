"""The montage on the command line."""

import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from generator.preview import draw_montage, preview

ROOT = Path(__file__).parents[2]
AFFINE = np.diag([-1.6, -1.6, 2.0, 1.0])


def write(folder: Path, shape: tuple[int, int, int] = (60, 50, 40)) -> tuple[str, str]:
    """Writes a block of lung in soft tissue, 1.6 mm, and its mask."""
    lungs = np.zeros(shape, np.uint8)
    lungs[10:50, 8:42, 5:35] = 1
    ct = np.where(lungs, -850.0, 40.0).astype(np.float32)
    paths = str(folder / "ct.nii.gz"), str(folder / "lungs.nii.gz")
    for array, path in zip((ct, lungs), paths, strict=True):
        nib.save(nib.Nifti1Image(array, AFFINE), path)
    return paths


def test_preview_writes_a_picture_and_nothing_else(tmp_path: Path) -> None:
    image, lungs = write(tmp_path)
    preview(str(tmp_path / "montage.png"), image=image, lungs=lungs)
    assert (tmp_path / "montage.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct.nii.gz", "lungs.nii.gz", "montage.png"]


def test_montage_has_a_row_a_slice_and_a_column_a_volume() -> None:
    healthy = torch.zeros((30, 20, 8))
    healthy[5:25, 4:16] = 0.4
    healthy[24, 4, :] = 1.0  # the patient's right: to be seen on the left
    figure = draw_montage([healthy] * 4)
    assert len(figure.axes) == 16
    shown = figure.axes[0].images[0].get_array()
    assert shown is not None and shown.shape == (12, 20) and shown[0, 0] == 1.0


def test_preview_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    image, lungs = write(tmp_path)
    (tmp_path / "other").mkdir()
    _, other = write(tmp_path / "other", (60, 50, 39))
    out = str(tmp_path / "montage.png")
    with pytest.raises(ValueError, match="spec: expected one of paper"):
        preview(out, spec="papper")
    with pytest.raises(ValueError, match="both --image and --lungs"):
        preview(out, image=image)
    with pytest.raises(ValueError, match=r"other/lungs.nii.gz: expected the shape .* got \(60, 50, 39\)$"):
        preview(out, image=image, lungs=other)
    nib.save(nib.Nifti1Image(np.ones((60, 50, 40), np.uint8), 2 * AFFINE), other)
    with pytest.raises(ValueError, match=r"other/lungs.nii.gz: expected the affine of .*, got another one$"):
        preview(out, image=image, lungs=other)
    nib.save(nib.Nifti1Image(np.zeros((60, 50, 40), np.uint8), AFFINE), lungs)
    with pytest.raises(ValueError, match="lungs: expected some voxels above 0"):
        preview(out, image=image, lungs=lungs)
    assert not (tmp_path / "montage.png").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--spec", "papper"], "error: spec: expected one of paper, wide, .*, got 'papper'"),
        (["--image", "no.nii.gz", "--lungs", "no.nii.gz"], r"error: [^\n]*no\.nii\.gz'"),
    ],
)
def test_on_the_command_line_a_wrong_option_is_one_sentence(
    tmp_path: Path, options: list[str], sentence: str
) -> None:
    command = [sys.executable, "-m", "generator", "preview", str(tmp_path / "montage.png"), *options]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert re.fullmatch(sentence, finished.stderr.strip())
    assert not list(tmp_path.iterdir())
