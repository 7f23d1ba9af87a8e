"""A study's files lie on the voxels of the CT's file, whichever way that is turned."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, CopyItemsd, Orientationd

from normnet.checkpoints import write_checkpoint
from normnet.ct_grid import ToCTGridd
from normnet.errors import InputError
from normnet.model_grid import ToModelGridd
from normnet.reading import LoadCTd
from normnet.results import SaveStudy
from normnet.studies import find_studies

SHAPE, SPACING = (20, 18, 12), (1.6, 1.6, 2.0)


def box(x: slice, y: slice, z: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[x, y, z] = True
    return mask


LUNGS = box(slice(3, 9), slice(4, 14), slice(2, 10)) | box(slice(11, 17), slice(4, 14), slice(2, 10))
LESION = box(slice(12, 15), slice(5, 8), slice(3, 6))


def write_ct(path: Path, axes: str) -> nib.Nifti1Image:
    """Writes the same patient with the axes turned."""
    ct = np.where(LUNGS, -850, 40).astype(np.int16)
    ct[LESION] = -200
    ras = nib.Nifti1Image(ct, np.diag([*SPACING, 1.0]))
    ornt = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes)
    )
    turned = ras.as_reoriented(ornt)
    nib.save(turned, path)
    return turned


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "SLA"])
def test_results_lie_where_the_patient_has_them(tmp_path: Path, axes: str) -> None:
    ct = write_ct(tmp_path / "ct.nii.gz", axes)
    write_checkpoint({}, tmp_path / "w.pt")
    masks = {"lung_mask": LUNGS, "lesion": LESION, "healthy": LUNGS & ~LESION}
    study = Compose(
        [
            LoadCTd("image"),
            Orientationd("image", axcodes="RAS", labels=None),
            CopyItemsd("image", names="ct"),
        ]
    )({"image": str(tmp_path / "ct.nii.gz"), "study": "ct"})
    affine = study["ct"].affine
    for name, mask in masks.items():
        study[name] = MetaTensor(torch.from_numpy(mask.astype(np.uint8))[None], affine=affine)
    study["disagreement"] = MetaTensor(torch.ones(1, *SHAPE), affine=affine)
    there = ToModelGridd(["healthy", "lesion", "disagreement"], spacing=(0.8, 0.8, 1.0))(study)
    assert there["lesion"].shape[1] == 39
    SaveStudy(tmp_path / "out", tmp_path / "w.pt").save(
        ToCTGridd(["healthy", "lesion", "disagreement"])(there)
    )
    wanted = {"lungs": LUNGS, "lesion": LESION, "healthy": LUNGS & ~LESION, "disagreement": LUNGS}
    for name, mask in wanted.items():
        image = nib.load(tmp_path / "out" / "ct" / f"{name}.nii.gz")
        np.testing.assert_allclose(image.affine, ct.affine, atol=1e-6)
        found = np.asarray(nib.as_closest_canonical(image).dataobj)
        np.testing.assert_array_equal(found, mask.astype(found.dtype), err_msg=name)
    report = json.loads((tmp_path / "out" / "ct" / "report.json").read_text())
    voxel_ml = float(np.prod(SPACING)) / 1000
    assert report["right"]["lesion_ml"] == pytest.approx(LESION.sum() * voxel_ml, abs=1e-3)
    assert report["left"]["lesion_ml"] == 0


def saved(out: Path, checkpoint: Path, study: str = "ct") -> None:
    """Saves a study of one lesion."""
    ct = MetaTensor(torch.where(torch.from_numpy(LUNGS), -850.0, 40.0)[None], affine=torch.eye(4).double())
    ct.meta["original_affine"] = np.eye(4)
    masks = {"lung_mask": LUNGS, "lesion": LESION, "healthy": LUNGS & ~LESION, "disagreement": LUNGS}
    volumes = {name: torch.from_numpy(mask)[None].float() for name, mask in masks.items()}
    SaveStudy(out, checkpoint).save({"ct": ct, "study": study, **volumes})


def test_results_take_the_place_of_earlier_ones_and_of_nothing_else(tmp_path: Path) -> None:
    write_checkpoint({}, tmp_path / "w.pt")
    out = tmp_path / "out"
    saved(out, tmp_path / "w.pt")
    saved(out, tmp_path / "w.pt")
    assert [folder.name for folder in out.iterdir()] == ["ct"]
    patient = out / "patient"
    patient.mkdir()
    (patient / "IM000").write_text("a slice")
    with pytest.raises(
        InputError, match=r"patient: expected a new folder .* found IM000 there; give another"
    ):
        saved(out, tmp_path / "w.pt", "patient")
    assert [file.name for file in patient.iterdir()] == ["IM000"]


def test_results_take_the_place_of_a_link_and_leave_what_it_led_to(tmp_path: Path) -> None:
    write_checkpoint({}, tmp_path / "w.pt")
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    saved(elsewhere, tmp_path / "w.pt")
    out.mkdir()
    (out / "ct").symlink_to(elsewhere / "ct")
    saved(out, tmp_path / "w.pt")
    assert [folder.name for folder in out.iterdir()] == ["ct"]
    assert not (out / "ct").is_symlink()
    assert (elsewhere / "ct" / "lesion.nii.gz").is_file()


def test_results_are_no_studies(tmp_path: Path) -> None:
    write_checkpoint({}, tmp_path / "w.pt")
    write_ct(tmp_path / "ct.nii.gz", "RAS")
    saved(tmp_path, tmp_path / "w.pt")
    assert [study["study"] for study in find_studies(tmp_path)] == ["ct"]


def test_earlier_results_come_back_where_new_ones_cannot_be_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint({}, tmp_path / "w.pt")
    out = tmp_path / "out"
    saved(out, tmp_path / "w.pt")
    replace = Path.replace

    def refused(path: Path, target: Path) -> Path:
        if target == out / "ct" and not path.name.endswith(".earlier"):
            raise OSError(5, "Input/output error")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(InputError, match="results cannot be written here"):
        saved(out, tmp_path / "w.pt")
    assert [folder.name for folder in out.iterdir()] == ["ct"]
    assert (out / "ct" / "lesion.nii.gz").is_file()
