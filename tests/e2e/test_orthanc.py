"""The whole way of a PACS: Orthanc, the server, inference, DICOM SEG, corrections; real programs throughout."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
import requests
import SimpleITK as sitk
from monailabel.client import MONAILabelClient

from generator.chest import make_chest
from generator.pathology import add_pathology
from monailabel_app.lib.dicom_seg import write_seg
from monailabel_app.lib.segments import segments_from
from tests.app.conftest import OVERLAY
from tests.app.dicom_series import instances, write_series
from tests.app.orthanc_server import load, running_orthanc
from tests.app_server import Server, fine_tune, running_server
from tests.e2e.conftest import TRAINING

SHAPE, SPACING = (96, 84, 48), (3.6, 3.6, 5.0)
LESION = {"label_info": [{"name": "lesion", "idx": 1}]}


@dataclass(frozen=True)
class Hospital:
    """A PACS, a server before it, and the series of one study with its folder."""

    pacs: str
    server: Server
    series: str
    folder: Path


@pytest.fixture(
    scope="module", params=["generated", pytest.param("real", marks=[pytest.mark.real_ct, pytest.mark.slow])]
)
def hospital(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    work = tmp_path_factory.mktemp("hospital")
    if request.param == "real":
        folder = request.getfixturevalue("real_ct") / "dicom_chest" / "series"
        series = str(pydicom.dcmread(next(folder.iterdir()), stop_before_pixels=True).SeriesInstanceUID)
    else:
        folder = work / "series"
        chest = make_chest(0, shape=SHAPE, spacing=SPACING)
        ct, _ = add_pathology(chest, rng=np.random.default_rng(0))
        series = write_series(folder, ct, SPACING)
    with running_orthanc(work / "orthanc") as pacs:
        load(folder, pacs)
        env = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
        with running_server(pacs, work / "server", env=env, overlay={**TRAINING, **OVERLAY}) as server:
            yield Hospital(pacs, server, series, folder)


def segs(hospital: Hospital) -> list[str]:
    """The SEG series that the PACS holds."""
    found = requests.get(f"{hospital.pacs}/series", {"Modality": "SEG"}, timeout=30)
    return [item["0020000E"]["Value"][0] for item in found.json()] if found.content else []


def corrected(hospital: Hospital) -> list[dict[str, str]]:
    """What training is given."""
    return list(requests.get(f"{hospital.server.url}/datastore/?output=train", timeout=60).json())


def mask_of(hospital: Hospital, tmp_path: Path) -> Path:
    """Lets the server segment, and keeps the mask."""
    client = MONAILabelClient(hospital.server.url, tmpdir=str(tmp_path))
    mask, _ = client.infer("normnet", hospital.series, {"result_extension": ".nii.gz"})
    return Path(mask)


def test_series_of_the_pacs_is_listed(hospital: Hospital) -> None:
    images = hospital.server.client.datastore()["objects"]
    assert set(images) == {hospital.series}


@pytest.mark.parametrize("model", ["normnet", "lungs"])
def test_dicom_seg_needs_no_params_and_refers_to_its_series(hospital: Hospital, model: str) -> None:
    url = f"{hospital.server.url}/infer/{model}?image={hospital.series}&output=dicom_seg"
    answer = requests.post(url, timeout=300)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    seg = hd.seg.segread(io.BytesIO(answer.content))
    names = {"normnet": ["lesion"], "lungs": ["left lung", "right lung"]}[model]
    assert [item.SegmentLabel for item in seg.SegmentSequence] == names
    (referenced,) = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == hospital.series
    sources = instances(hospital.folder)
    assert {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence} == sources
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in hospital.folder.iterdir()]
    places = {header.SOPInstanceUID: header.ImagePositionPatient for header in headers}
    for frame in seg.PerFrameFunctionalGroupsSequence:
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        assert frame.PlanePositionSequence[0].ImagePositionPatient == places[source.ReferencedSOPInstanceUID]
    assert seg.pixel_array.any() or model == "normnet"  # The real lungs are clear.


def test_correction_is_stored_listed_and_given_on_the_grid_of_the_image(
    hospital: Hospital, tmp_path: Path
) -> None:
    mask = nib.load(mask_of(hospital, tmp_path))
    correction = np.zeros(mask.shape, np.uint8)
    correction[20:40, 30:50, 9:12] = 1  # The SEG leaves out all other slices.
    nib.save(nib.Nifti1Image(correction, mask.affine), tmp_path / "label.nii.gz")
    before = segs(hospital)
    hospital.server.client.save_label(hospital.series, str(tmp_path / "label.nii.gz"), "final", LESION)
    assert len(segs(hospital)) == len(before) + 1
    assert requests.get(f"{hospital.server.url}/datastore/", timeout=30).json()["completed"] == 1
    (pair,) = corrected(hospital)
    image, label = nib.load(pair["image"]), nib.load(pair["label"])
    assert label.shape == image.shape == correction.shape
    assert np.allclose(label.affine, image.affine, atol=1e-3)
    assert (np.asarray(label.dataobj) == correction).all()


@pytest.mark.filterwarnings(
    "ignore:The string .* is unlikely:UserWarning"
)  # Names of real patients lack a caret.
def test_label_from_another_station_is_seen_at_once_and_whole(hospital: Hospital, tmp_path: Path) -> None:
    mask = sitk.ReadImage(str(mask_of(hospital, tmp_path)))
    box = np.zeros(mask.GetSize()[::-1], np.uint8)
    box[5:8, 20:40, 30:50] = 1
    label = sitk.GetImageFromArray(box)
    label.CopyInformation(mask)
    (tmp_path / "station").mkdir()
    write_seg(label, hospital.folder, segments_from(None, {"lesion": 1}), tmp_path / "station" / "seg.dcm")
    load(tmp_path / "station", hospital.pacs)
    (pair,) = corrected(hospital)
    assert (sitk.GetArrayFromImage(sitk.ReadImage(pair["label"])) == box).all()


@pytest.mark.slow
def test_the_networks_learn_from_a_correction_on_the_pacs(hospital: Hospital, tmp_path: Path) -> None:
    mask = nib.load(mask_of(hospital, tmp_path))
    correction = np.zeros(mask.shape, np.uint8)
    correction[mask.shape[0] // 4 :, :, mask.shape[2] // 2 :] = 1
    nib.save(nib.Nifti1Image(correction, mask.affine), tmp_path / "label.nii.gz")
    hospital.server.client.save_label(hospital.series, str(tmp_path / "label.nii.gz"), "final", LESION)
    stats = fine_tune(hospital.server, max_epochs=1)
    assert (stats["version"], stats["metrics"]["corrections"]) == ("1", 1)
    assert stats["metrics"]["lesion_dice"] is not None
    versions = hospital.server.client.info()["models"]["normnet"]["config"]["version"]
    assert versions == ["current", "0", "1"]


def test_empty_label_is_the_newest_correction(hospital: Hospital, tmp_path: Path) -> None:
    mask = nib.load(mask_of(hospital, tmp_path))
    nib.save(nib.Nifti1Image(np.zeros(mask.shape, np.uint8), mask.affine), tmp_path / "empty.nii.gz")
    before = segs(hospital)
    hospital.server.client.save_label(hospital.series, str(tmp_path / "empty.nii.gz"), "final", LESION)
    assert len(segs(hospital)) == len(before) + 1
    (pair,) = corrected(hospital)
    assert not np.asarray(nib.load(pair["label"]).dataobj).any()
    assert requests.get(f"{hospital.server.url}/datastore/", timeout=30).json()["completed"] == 1


def test_lungs_on_the_pacs_are_no_correction(hospital: Hospital, tmp_path: Path) -> None:
    labels = corrected(hospital)
    url = f"{hospital.server.url}/infer/lungs?image={hospital.series}&output=dicom_seg"
    (tmp_path / "seg.dcm").write_bytes(requests.post(url, timeout=300).content)
    load(tmp_path, hospital.pacs)
    assert corrected(hospital) == labels


def test_label_that_names_no_lesion_is_refused(hospital: Hospital, tmp_path: Path) -> None:
    mask = mask_of(hospital, tmp_path)
    before = segs(hospital)
    answer = requests.put(
        f"{hospital.server.url}/datastore/label?image={hospital.series}&tag=final",
        data={"params": '{"label_info": [{"name": "lungs", "idx": 1}]}'},
        files={"label": ("label.nii.gz", mask.read_bytes())},
        timeout=60,
    )
    assert answer.status_code == 422
    assert "expected a segment 'lesion', got lungs" in answer.json()["detail"]
    assert segs(hospital) == before


def test_nothing_is_left_in_the_temporary_folder(hospital: Hospital) -> None:
    left = [path.name for path in (hospital.server.log.parent / "tmp").iterdir()]
    assert not [name for name in left if name.endswith((".dcm", ".nrrd", ".nii.gz"))]
