"""The cache of preprocessed CTs follows the content of their files."""

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.transforms import Compose

from normnet import nnunet_lungs
from normnet.errors import input_error_in
from normnet.healthy_volumes import HealthyVolumes, content_hash, healthy_transforms
from normnet.studies import load_datalist
from tests.normnet.ct_files import phantom, write_itk, write_nifti


@pytest.mark.parametrize("name", ["ct.mhd", "ct.MHD", "ct.nhdr"])
def test_a_detached_header_counts_with_its_voxels(name: str, tmp_path: Path) -> None:
    hashes = []
    for patient, raised in (("a", 0), ("b", 0), ("c", 50)):
        (tmp_path / patient).mkdir()
        path = write_itk(tmp_path / patient / name.lower(), phantom() + raised)
        hashes.append(content_hash({"image": str(path.rename(path.with_name(name)))}))
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_header_that_names_many_files_counts_with_all_beside_it(tmp_path: Path) -> None:
    header, slices = tmp_path / "ct.mhd", [tmp_path / f"slice{number}.raw" for number in range(2)]
    header.write_text("ElementDataFile = LIST\nslice0.raw\nslice1.raw\n")
    for file in slices:
        file.write_bytes(b"1")
    before = content_hash({"image": str(header)})
    slices[1].write_bytes(b"2")
    assert content_hash({"image": str(header)}) != before


def test_the_files_are_looked_at_once(tmp_path: Path) -> None:
    write_nifti(tmp_path / "ct.nii.gz", phantom())
    item = {"image": str(tmp_path / "ct.nii.gz")}
    volumes = HealthyVolumes([item], Compose([]), tmp_path / "cache")
    before = volumes.content()
    write_nifti(tmp_path / "ct.nii.gz", phantom() + 50)
    assert volumes.content() == before
    assert HealthyVolumes([item], Compose([]), tmp_path / "cache").content() != before


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (["ct_exclude.nii.gz"], r"ct_exclude\.nii\.gz: expected a mask .* no such file"),
        (["ct_exclude.nii.gz", "ct_exclude.nii"], "expected one mask ct_exclude"),
    ],
    ids=["a link that leads nowhere", "two of one kind"],
)
def test_a_mask_that_is_not_there_is_one_sentence(masks: list[str], message: str, tmp_path: Path) -> None:
    write_nifti(tmp_path / "ct.nii.gz", phantom())
    for name in masks:
        (tmp_path / name).symlink_to(tmp_path / "unmounted" / name)
    volumes = HealthyVolumes(load_datalist(tmp_path, "training"), healthy_transforms(), tmp_path / "cache")
    with pytest.raises(RuntimeError) as raised:
        volumes.prepare()
    assert re.search(message, str(input_error_in(raised.value)))


@pytest.mark.parametrize("kind", ["joined", "nnunet"])
def test_another_lung_network_in_the_same_folder_counts(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "models" / "lungs" / "fold_0" / "checkpoint_final.pth"
    checkpoint.parent.mkdir(parents=True)

    def named(lungs: str) -> str:
        nnunet_lungs.model_hash.cache_clear()
        transform = healthy_transforms(lungs=lungs)
        return str(HealthyVolumes([], transform, tmp_path / "cache").transform_hash)

    monkeypatch.setattr("normnet.lungs.bundle_root", lambda: str(tmp_path))
    backends = [kind, f"{kind}:{checkpoint.parents[1]}", "classical"]
    checkpoint.write_bytes(b"one network")
    before = [named(lungs) for lungs in backends]
    assert [named(lungs) for lungs in backends] == before
    checkpoint.write_bytes(b"another one")
    assert [named(lungs) == old for lungs, old in zip(backends, before, strict=True)] == [False, False, True]


def test_a_vessel_that_ends_where_slices_are_left_out_is_no_erroneous_edge(tmp_path: Path) -> None:
    ct, lungs = np.full((40, 40, 40), 40.0), np.zeros((40, 40, 40))
    lungs[4:36, 4:36, 4:36] = 1
    ct[lungs > 0] = -850.0
    ct[18:21, 18:21, 8:34] = 0.0  # a vessel of 9 voxels in each slice
    for name, volume in (("ct", ct), ("lungs", lungs)):
        nib.save(nib.Nifti1Image(volume.astype(np.int16), np.eye(4)), tmp_path / f"{name}.nii.gz")
    item = {key: str(tmp_path / f"{name}.nii.gz") for key, name in (("image", "ct"), ("lungs", "lungs"))}
    preprocess = healthy_transforms(lungs="file", spacing=(1.0, 1.0, 1.0), full_lung_hu=0)
    volume = preprocess({**item, "exclude_slices": list(range(10, 40))})
    assert int((volume["image"] > 0.5).sum()) == 2 * 9  # of slices 8 and 9
    assert not volume["lungs"][0, :, :, 10:].any()


def test_the_volumes_follow_the_tau_of_their_edges(tmp_path: Path) -> None:
    names = {
        HealthyVolumes([], healthy_transforms(edge_tau=tau), tmp_path / "cache").transform_hash
        for tau in (0.2, 0.3, 0.2)
    }
    assert len(names) == 2
