"""Corrected scans: the target, and masks that lie on other grids than their scan."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose

from normnet.correction_list import held_out_studies, load_corrections
from normnet.correction_scores import Agreement, pooled_agreement
from normnet.corrections import CorrectedTargetd, corrected_transforms, lesion_free_transforms
from normnet.errors import InputError
from normnet.lesion_labels import LoadLesionsd, lesions_on_grid, read_lesions
from normnet.lung_density import InflateLungsd

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
SHAPE = (4, 5, 6)


def image() -> MetaTensor:
    return MetaTensor(torch.rand(1, *SHAPE), affine=AFFINE, meta={"filename_or_obj": "ct.nii.gz"})


def one_voxel(x: int, y: int, z: int) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[x, y, z] = 1
    return mask


def write_nifti(path: Path, mask: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), path)
    return path


def moved(affine: np.ndarray, x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    result = affine.copy()
    result[:3, 3] += (x, y, z)
    return result


def lit(mask: MetaTensor) -> list[list[int]]:
    assert mask.shape == (1, *SHAPE) and mask.dtype == torch.uint8
    return torch.nonzero(mask.as_tensor()[0]).tolist()


def test_the_target_is_bright_tissue_of_the_lungs_without_lesions() -> None:
    thorax = torch.tensor([[[[0.2, 0.5, 0.5, 0.9, 0.9]]]])
    lungs = torch.tensor([[[[1, 1, 1, 1, 0]]]], dtype=torch.uint8)
    lesions = torch.tensor([[[[1, 0, 1, 0, 1]]]], dtype=torch.uint8)
    data = CorrectedTargetd(keys="image", tau=0.5)({"image": thorax, "lungs": lungs, "exclude": lesions})
    assert data["label"].int().flatten().tolist() == [0, 1, 0, 1, 0]
    assert data["lesion"].int().flatten().tolist() == [1, 0, 1, 0, 0]
    assert data["tissue"].flatten().tolist() == [2, 1, 2, 1, 0]


def test_without_lesions_all_bright_tissue_is_healthy() -> None:
    thorax = torch.tensor([[[[0.2, 0.5]]]])
    nothing, lungs = torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2)
    data = CorrectedTargetd(keys="image", tau=0.5)({"image": thorax, "lungs": lungs, "exclude": nothing})
    assert data["label"].int().flatten().tolist() == [0, 1] and not data["lesion"].any()


@pytest.mark.parametrize("transforms", [corrected_transforms, lesion_free_transforms])
def test_corrected_lungs_are_brought_to_the_density_asked_for(transforms: Callable[..., Compose]) -> None:
    steps = transforms(full_lung_hu=0).transforms
    assert [step.full_hu for step in steps if isinstance(step, InflateLungsd)] == [0]


def test_a_mask_on_the_scans_own_grid_is_taken_as_it_is(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "label.nii.gz", 7 * one_voxel(1, 2, 3))
    data = LoadLesionsd(keys="image")({"image": image(), "exclude": str(path)})
    assert lit(data["exclude"]) == [[1, 2, 3]] and int(data["exclude"].max()) == 1


@pytest.mark.parametrize(("first", "last"), [(2, 4), (3, 3), (3, 5), (0, 3)])
def test_a_mask_cropped_to_labelled_slices_returns_to_them(tmp_path: Path, first: int, last: int) -> None:
    cropped = one_voxel(1, 2, 3)[:, :, first : last + 1]
    path = write_nifti(tmp_path / "label.nii.gz", cropped, moved(AFFINE, z=2.0 * first))
    assert lit(read_lesions(path, like=image())) == [[1, 2, 3]]


def test_a_whole_cropped_slice_of_lesion_fills_that_slice_alone(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "label.nii.gz", np.ones((4, 5, 1)), moved(AFFINE, z=4.0))
    mask = read_lesions(path, like=image())[0]
    assert mask[:, :, 2].all() and int(mask.sum()) == 20


def test_a_mask_in_another_orientation_is_turned(tmp_path: Path) -> None:
    flipped = AFFINE @ np.array([[-1, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    path = write_nifti(tmp_path / "label.nii.gz", one_voxel(0, 2, 3)[::-1], flipped)
    assert lit(read_lesions(path, like=image())) == [[0, 2, 3]]


def test_a_coarser_mask_covers_the_voxels_under_it() -> None:
    coarse = MetaTensor(torch.zeros(1, 2, 2, 3, dtype=torch.uint8), affine=moved(2 * AFFINE, 0.5, 0.5, 1.0))
    coarse.affine[3, 3] = 1.0
    coarse[0, 0, 0, 0] = 1
    mask = lesions_on_grid(coarse, image())
    assert lit(mask) == [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]


def test_one_slice_of_nrrd_is_read(tmp_path: Path) -> None:
    path = tmp_path / "label.nrrd"
    header = {
        "space": "left-posterior-superior",
        "space directions": np.diag([-1.0, -1.0, 2.0]),
        "space origin": [0.0, 0.0, 6.0],
    }
    nrrd.write(str(path), one_voxel(1, 2, 3)[:, :, 3:4], header)
    assert lit(read_lesions(path, like=image())) == [[1, 2, 3]]


@pytest.mark.parametrize("voxels", [0, 1])
def test_an_empty_mask_is_a_scan_without_lesions(tmp_path: Path, voxels: int) -> None:
    path = write_nifti(tmp_path / "label.nii.gz", np.zeros((4, 5, 5 + voxels)))
    assert not read_lesions(path, like=image()).any()


@pytest.mark.parametrize("empty", [True, False])
def test_another_scans_mask_is_one_sentence(tmp_path: Path, empty: bool) -> None:
    mask = np.zeros(SHAPE) if empty else one_voxel(1, 2, 3)
    path = write_nifti(tmp_path / "label.nii.gz", mask, moved(AFFINE, x=100.0))
    with pytest.raises(InputError, match=r"label\.nii\.gz: expected lesions of ct\.nii\.gz, .* outside it"):
        read_lesions(path, like=image())


def test_lesions_outside_the_scan_are_one_sentence(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "label.nii.gz", one_voxel(0, 2, 3), moved(AFFINE, x=-2.0))
    with pytest.raises(InputError, match="outside it"):
        read_lesions(path, like=image())


def test_a_missing_or_broken_mask_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_lesions(tmp_path / "none.nii.gz", like=image())
    for name in ("broken.nii.gz", "broken.nrrd"):
        (tmp_path / name).write_bytes(b"not a mask")
        with pytest.raises(InputError, match=f"{name}: expected a whole volume, but it cannot be read"):
            read_lesions(tmp_path / name, like=image())


def test_a_flipped_bit_in_a_compressed_mask_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "label.nrrd"
    header = {"space": "left-posterior-superior", "space directions": np.eye(3), "space origin": (0, 0, 0)}
    nrrd.write(str(path), (np.random.default_rng(0).random(SHAPE) > 0.5).astype(np.uint8), header)
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_lesions(path, like=image())


@pytest.mark.parametrize("value", [np.nan, 0.5, -1000])
def test_what_is_no_label_is_one_sentence(tmp_path: Path, value: float) -> None:
    path = tmp_path / "label.nii.gz"
    nib.save(nib.Nifti1Image(one_voxel(1, 2, 3) * np.float64(value), AFFINE), path)
    with pytest.raises(
        InputError, match=rf"label\.nii\.gz: expected whole numbers of 0 or more, got .* {value:g}"
    ):
        read_lesions(path, like=image())


def write_list(folder: Path, **lists: object) -> Path:
    for name in ("a", "b"):
        (folder / f"{name}.nii.gz").touch()
        (folder / f"{name}_label.nii.gz").touch()
    (folder / "dataset.json").write_text(json.dumps(lists))
    return folder


def test_corrections_are_listed_with_their_lesions_as_what_healthy_leaves_out(tmp_path: Path) -> None:
    items = [{"image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"} for name in ("a", "b")]
    folder = write_list(tmp_path, corrections=items[:1], corrections_validation=items[1:])
    paths = {"image": str(tmp_path / "a.nii.gz"), "exclude": str(tmp_path / "a_label.nii.gz")}
    assert load_corrections(folder, "training") == [paths]
    assert held_out_studies(folder)[0]["image"] == str(tmp_path / "b.nii.gz")
    write_list(tmp_path, corrections=items[:1])
    assert load_corrections(folder, "validation") == [paths]


@pytest.mark.parametrize(
    ("corrections", "sentence"),
    [
        ([], "there are none"),
        ([{"image": "a.nii.gz"}], r"expected corrections\[0\] to be"),
        (
            [{"image": "a.nii.gz", "label": "c.nii.gz"}],
            r"expected 'label' of corrections\[0\] at .*c\.nii\.gz",
        ),
    ],
)
def test_a_bad_list_is_one_sentence(tmp_path: Path, corrections: list[object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        load_corrections(write_list(tmp_path, corrections=corrections), "training")


def test_pooled_dice_counts_what_is_called_in_scans_without_lesions() -> None:
    lesion = (np.array([1, 1, 0, 0]) > 0, np.array([1, 1, 0, 0]) > 0)
    nothing = np.zeros(4, bool)
    assert pooled_agreement([lesion, (nothing, nothing)]).dice == 1.0
    assert pooled_agreement([lesion, (~nothing, nothing)]).dice == 0.5  # 2 * 2 / (2 + 2 + 4)
    assert pooled_agreement([lesion, (~nothing, nothing)]) == Agreement(called=6, true=2, both=2)
    assert pooled_agreement([(nothing, nothing)]).dice is None
