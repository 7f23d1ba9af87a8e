"""The lung mask lies on its CT's grid, from a backend chosen by name; what is wrong names the file."""

import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from normnet import bundle_root, nnunet_lungs
from normnet.errors import InputError
from normnet.lungs import LUNG_BACKENDS, SegmentLungsd

SPACING = (6.0, 6.0, 6.0)
AFFINE = np.array([[6.0, 0, 0, -180], [0, 6.0, 0, -120], [0, 0, 6.0, 40], [0, 0, 0, 1]])
SHAPE = (60, 44, 40)
NAME = "patient/case.nii.gz"


def two_lungs() -> np.ndarray:
    lungs = np.zeros(SHAPE, dtype=bool)
    lungs[12:26, 12:32, 6:34] = True
    lungs[34:48, 12:32, 6:34] = True
    return lungs


def chest(lungs: np.ndarray | None = None) -> MetaTensor:
    """A block of tissue in air, with lungs in it."""
    ct = np.full(SHAPE, -1000, dtype=np.float32)
    ct[6:54, 6:38] = 40
    ct[two_lungs() if lungs is None else lungs] = -850
    return MetaTensor(
        torch.from_numpy(ct)[None], affine=torch.from_numpy(AFFINE), meta={"filename_or_obj": NAME}
    )


def write(path, mask: np.ndarray, affine: np.ndarray = AFFINE) -> str:
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), path)
    return str(path)


def test_classical_is_the_default_and_finds_the_lungs_on_the_grid_of_the_ct():
    image = chest()

    lungs = SegmentLungsd()({"image": image})["lungs"]

    assert lungs.shape == (1, *SHAPE)
    assert lungs.dtype == torch.uint8
    np.testing.assert_array_equal(lungs[0].numpy() > 0, two_lungs())
    np.testing.assert_array_equal(lungs.affine, image.affine)
    assert lungs.meta["filename_or_obj"] == NAME


def test_the_image_and_the_item_are_left_as_they_are():
    image = chest()
    item = {"image": image, "study": "one"}
    before = image.clone()

    out = SegmentLungsd()(item)

    assert "lungs" not in item
    assert out["study"] == "one"
    torch.testing.assert_close(out["image"], before)


def test_no_lungs_names_the_ct_and_what_was_found():
    image = chest(np.zeros(SHAPE, dtype=bool))

    with pytest.raises(InputError, match=rf"^{NAME}: expected a chest CT, but found no lungs: .* 0 mL"):
        SegmentLungsd()({"image": image})


def test_file_reads_the_mask_beside_the_ct(tmp_path):
    path = write(tmp_path / "case_lungs.nii.gz", 7 * two_lungs())

    lungs = SegmentLungsd(backend="file")({"image": chest(), "lungs": path})["lungs"]

    assert lungs.dtype == torch.uint8
    np.testing.assert_array_equal(lungs[0].numpy(), two_lungs())
    np.testing.assert_array_equal(lungs.affine, AFFINE)


def test_file_turns_a_mask_of_another_orientation_to_the_ct(tmp_path):
    mask = two_lungs()
    mask[12:20] = False
    flipped = AFFINE.copy()
    flipped[:2, :2] *= -1
    flipped[0, 3] += 6.0 * (SHAPE[0] - 1)
    flipped[1, 3] += 6.0 * (SHAPE[1] - 1)
    path = write(tmp_path / "case_lungs.nii.gz", mask[::-1, ::-1], flipped)

    lungs = SegmentLungsd(backend="file")({"image": chest(), "lungs": path})["lungs"]

    np.testing.assert_array_equal(lungs[0].numpy(), mask)


@pytest.mark.parametrize("change", ["shape", "origin", "spacing"])
def test_file_on_another_grid_names_both_files_and_grids(tmp_path, change):
    mask, affine = two_lungs(), AFFINE.copy()
    if change == "shape":
        mask = mask[:, :, 1:]
    elif change == "origin":
        affine[2, 3] += 0.01
    else:
        affine[0, 0] = 5.0
    path = write(tmp_path / "case_lungs.nii.gz", mask, affine)

    with pytest.raises(InputError, match=rf"case_lungs\.nii\.gz: .*shape.*{NAME}.*shape"):
        SegmentLungsd(backend="file")({"image": chest(), "lungs": path})


@pytest.mark.parametrize(
    ("image", "mask"),
    [("a/case.nii.gz", "case_lungs"), ("a/b.c.mha", "b.c_lungs"), ("a/series", "series_lungs")],
)
def test_file_without_a_mask_names_the_wanted_one(image, mask):
    ct = chest()
    ct.meta["filename_or_obj"] = image

    with pytest.raises(InputError, match=rf"^{image}: .*{mask}\.nii\.gz"):
        SegmentLungsd(backend="file")({"image": ct})


def test_file_that_is_empty_is_an_error(tmp_path):
    path = write(tmp_path / "case_lungs.nii.gz", np.zeros(SHAPE))

    with pytest.raises(InputError, match=r"case_lungs\.nii\.gz: .*all its voxels are 0"):
        SegmentLungsd(backend="file")({"image": chest(), "lungs": path})


def test_an_unknown_backend_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"joined, classical, nnunet, file.*got 'magic'"):
        SegmentLungsd(backend="magic")
    with pytest.raises(InputError, match="got 5"):  # `--lungs_backend 5` is a number
        SegmentLungsd(backend=5)


@pytest.mark.parametrize("name", ["nnunet:", "classical:folder"])
def test_a_folder_is_named_with_the_backends_that_take_one(name):
    with pytest.raises(ValueError, match=rf"joined:FOLDER, nnunet:FOLDER, got '{name}'"):
        SegmentLungsd(backend=name)


def test_nnunet_with_a_folder_that_holds_no_model_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=rf"^{tmp_path}: expected an nnU-Net v2 model folder"):
        SegmentLungsd(backend=f"nnunet:{tmp_path}")({"image": chest()})


def test_a_wrong_model_of_the_joined_backend_is_not_blamed_on_the_ct(tmp_path):
    with pytest.raises(InputError, match=rf"^{tmp_path}: expected an nnU-Net v2 model folder"):
        SegmentLungsd(backend=f"joined:{tmp_path}")({"image": chest()})


def test_an_error_of_the_lung_network_is_not_blamed_on_the_ct(monkeypatch):
    def fail(*arguments):
        raise ValueError("operands could not be broadcast")

    monkeypatch.setattr(nnunet_lungs, "probability", fail)
    with pytest.raises(ValueError, match=r"^operands could not be broadcast"):
        SegmentLungsd(backend="joined")({"image": chest()})


def test_nnunet_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "fold_0").mkdir()
    (tmp_path / "fold_0" / "checkpoint_final.pth").touch()
    (tmp_path / "plans.json").touch()
    monkeypatch.setitem(sys.modules, "nnunetv2", None)
    monkeypatch.setitem(sys.modules, "nnunetv2.inference.predict_from_raw_data", None)
    with pytest.raises(InputError, match="nnunetv2, which is not installed: pip install nnunetv2"):
        SegmentLungsd(backend=f"nnunet:{tmp_path}")({"image": chest()})


def test_the_shipped_lung_network_needs_none_of_the_packages_of_nnunets_other_trainers():
    # In its own process: what was imported once stays imported.
    script = (
        "import sys; sys.modules['torchvision'] = sys.modules['timm'] = None\n"
        "from normnet.lungs import _own_model; from normnet.nnunet_lungs import load_predictor\n"
        "print(load_predictor(_own_model()).trainer_name)"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "nnUNetTrainer"


def test_backends_are_known_by_name():
    assert set(LUNG_BACKENDS) == {"joined", "classical", "nnunet", "file"}


def test_lung_is_where_the_network_is_more_sure_of_it_than_not():
    model = f"{bundle_root()}/models/lungs"
    sure = nnunet_lungs.probability(chest()[0].numpy(), SPACING, model)
    assert sure.shape == SHAPE and sure.min() >= 0 and sure.max() <= 1
    clear = abs(sure - 0.5) > 0.01
    found = nnunet_lungs.segment(chest()[0].numpy(), SPACING, model)
    np.testing.assert_array_equal((sure > 0.5)[clear], found[clear])
