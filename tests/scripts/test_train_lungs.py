"""A tiny nnU-Net for lungs, from CTs to masks, by the command a user types."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from generator.cohort import write_cohort
from normnet.errors import InputError
from normnet.lungs import SegmentLungsd
from scripts.train_lungs import train
from tests.e2e.conftest import python

SCRIPT = str(Path(__file__).resolve().parents[2] / "scripts" / "train_lungs.py")


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chests")
    write_cohort(folder, healthy=5, diseased=0, shape=(64, 56, 32), spacing=(5.4, 5.4, 7.5))
    return folder / "healthy"


@pytest.mark.parametrize(("diseased", "fewest"), [(0, 5), (1, 3), (2, 2)])
def test_too_few_cts_are_refused_and_diseased_copies_count(
    diseased: int, fewest: int, tmp_path: Path
) -> None:
    (tmp_path / "ct.nii.gz").touch()  # counted before it is read
    with pytest.raises(InputError, match=f"expected at least {fewest} CTs to train on, got 1"):
        train(str(tmp_path), str(tmp_path / "work"), diseased=diseased)


def test_too_few_cts_are_one_sentence(tmp_path: Path) -> None:
    image = tmp_path / "ct.nii.gz"
    image.touch()  # counted before it is read
    finished = python(SCRIPT, "train", str(image), str(tmp_path), cwd=tmp_path)
    assert finished.returncode == 1
    assert "expected at least 5 CTs to train on, got 1." in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.slow
def test_two_folds_train_predict_and_serve_as_a_backend(chests: Path, tmp_path: Path) -> None:
    work, masks = tmp_path / "work", tmp_path / "masks"
    tiny = ["--folds=2", "--epochs=6", "--iterations=8", "--processes=1"]
    trained = python(SCRIPT, "train", str(chests), str(work), *tiny, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    model = trained.stdout.strip().splitlines()[-1]
    assert len(list(Path(model).glob("fold_*/checkpoint_final.pth"))) == 2

    predicted = python(SCRIPT, "predict", model, str(chests / "healthy_0.nii.gz"), str(masks), cwd=tmp_path)
    assert predicted.returncode == 0, predicted.stderr
    by_files = np.asarray(nib.load(masks / "healthy_0.nii.gz").dataobj) > 0
    raw = work / "raw" / "Dataset001_Lungs"
    truth = np.asarray(nib.load(raw / "labelsTr" / "healthy_0.nii.gz").dataobj) > 0
    assert 2 * (by_files & truth).sum() / (by_files.sum() + truth.sum()) > 0.7

    shipped = python(SCRIPT, "ship", model, str(tmp_path / "shipped"), cwd=tmp_path)
    assert shipped.returncode == 0, shipped.stderr
    weights = torch.load(tmp_path / "shipped" / "fold_0" / "checkpoint_final.pth", weights_only=False)
    assert weights["trainer_name"] == "nnUNetTrainer"

    image = nib.load(raw / "imagesTr" / "healthy_0_0000.nii.gz")
    ct = MetaTensor(
        torch.from_numpy(image.get_fdata(dtype=np.float32))[None], affine=torch.from_numpy(image.affine)
    )
    lungs = SegmentLungsd(backend=f"nnunet:{model}")({"image": ct})["lungs"]
    assert lungs.shape == ct.shape
    assert float((lungs[0].numpy() != by_files).mean()) < 1e-4
