"""Lays a public set out as this project reads it: <case>.nii.gz, <case>_lesions.nii.gz, <case>_lungs.nii.gz.

Coronacases (Zenodo 3757476; its Radiopaedia volumes have lost their HU, the paper leaves them out):
    python scripts/prepare_labelled.py COVID-19-CT-Seg_20cases OUT --lesions Infection_Mask --lungs Lung_Mask
        --cts_named "coronacases*.nii.gz" --masks_named "coronacases*.nii.gz"
Radiopaedia (medicalsegmentation.com; without volume 6, which has about 70 lesion voxels):
    python scripts/prepare_labelled.py rp_im OUT --lesions rp_msk --lungs rp_lung_msk --leave_out 6
StructSeg 2019, for train_lungs.py (labels 1 and 2 are the lungs):
    python scripts/prepare_labelled.py Thoracic_OAR OUT --lungs Thoracic_OAR --lung_labels 1,2
        --cts_named "*/data.nii.gz" --masks_named "*/label.nii.gz"
MSD Task06 with the lung masks of Ma et al., for train_lungs.py:
    python scripts/prepare_labelled.py Task06_Lung/imagesTr OUT --lungs LUNG_MASKS
NSCLC-Radiomics with the masks of PleThora, which 402 of its 422 CTs have, for train_lungs.py:
    python scripts/prepare_labelled.py NSCLC-Radiomics OUT --lungs Thoracic_Cavities --masked_only
        --cts_named "LUNG1-*" --masks_named "*/*_thor_cav_primary_reviewer.nii.gz"
"""

import re
from collections.abc import Sequence
from pathlib import Path

import fire
import nibabel as nib
import numpy as np
import pydicom
from tqdm import tqdm

from normnet.ct_grid import save_nifti
from normnet.dicom import is_dicom
from normnet.errors import InputError, report_input_errors
from normnet.reading import read_ct
from normnet.studies import find_studies
from normnet.whole_file import written_whole

Numbers = tuple[int, ...]


@fire.decorators.SetParseFns(cts=str, output_dir=str, lesions=str, lungs=str, cts_named=str, masks_named=str)
def prepare_labelled(
    cts: str,
    output_dir: str,
    lesions: str | None = None,
    lungs: str | None = None,
    cts_named: str = "*.nii.gz",
    masks_named: str = "*.nii.gz",
    lesion_labels: int | Sequence[int] = (1, 2),
    lung_labels: int | Sequence[int] = (1, 2),
    leave_out: int | Sequence[int] = (),
    masked_only: bool = False,
) -> None:
    """Writes a folder that `inference.json`, `evaluate.json`, `compare.py` and `train_lungs.py` take.

    A mask belongs to the CT with the same numbers in its name: coronacases_001 to coronacases_org_001. A name without
    any, such as data.nii.gz, goes by its folder's.

    Args:
        cts: folder of the CTs, each a file, or a folder that holds one CT series in DICOM, at any depth.
        output_dir: where the cases go.
        lesions: folder of the lesion masks.
        lungs: folder of the lung masks.
        cts_named: which files in `cts` are CTs.
        masks_named: which files in the other folders are masks.
        lesion_labels: the labels that are lesion: ground glass and consolidation.
        lung_labels: the labels that are lung: right and left.
        leave_out: last numbers of cases to leave out, such as 6.
        masked_only: whether a CT without its mask is left out; else it is an error.
    """
    report_input_errors()
    root, out = Path(cts), Path(output_dir)
    unwanted = set(_several(leave_out))
    images = {name: path for name, path in numbered(root, cts_named).items() if name[-1] not in unwanted}
    kinds = {
        kind: (numbered(Path(folder), masks_named), _several(labels))
        for kind, folder, labels in (("lesions", lesions, lesion_labels), ("lungs", lungs, lung_labels))
        if folder is not None
    }
    if not kinds:
        raise InputError(f"{root}: expected --lesions or --lungs, a folder of masks, got neither.")
    for kind, (masks, _) in kinds.items():
        if masked_only:
            images = {name: path for name, path in images.items() if name in masks}
        for name, path in images.items():
            if name not in masks:
                raise InputError(
                    f"{path}: expected its mask among the {kind} masks, found none with its numbers."
                )
    out.mkdir(parents=True, exist_ok=True)
    for name, path in tqdm(images.items(), desc="Preparing", unit="CT"):
        case = "_".join(part for part in (*path.relative_to(root).parts[:-1], path.name.split(".")[0]))
        write_ct(path, out / f"{case}.nii.gz")
        for kind, (masks, labels) in kinds.items():
            mask = nib.load(masks[name])
            wanted = np.isin(np.rint(np.asarray(mask.dataobj)), labels).astype(np.uint8)
            nib.save(nib.Nifti1Image(wanted, mask.affine), out / f"{case}_{kind}.nii.gz")


def write_ct(source: Path, target: Path) -> None:
    """Copies a CT, or writes the one of a DICOM folder, in which structures and masks may lie beside it."""
    if source.is_file():
        with written_whole(target) as beside:
            beside.write_bytes(source.read_bytes())
        return
    series = [Path(study["image"]) for study in find_studies(source)]
    cts = [folder for folder in series if _modality(folder) == "CT"]
    if len(cts) != 1:
        raise InputError(f"{source}: expected one CT series, got {len(cts)} among {len(series)} series.")
    ct = read_ct(cts[0])
    save_nifti(np.rint(ct[0].numpy()).astype(np.int16), ct.affine.numpy(), target)


def numbered(folder: Path, pattern: str) -> dict[Numbers, Path]:
    """Lists the files of a folder by the numbers in their names.

    Raises:
        InputError: there is no such file, one without a number, or two with the same.
    """
    found: dict[Numbers, Path] = {}
    for path in sorted(folder.glob(pattern)):
        if path.name.startswith("."):  # the archives of the Decathlon hold a ._lung_001.nii.gz for each CT
            continue
        parts = reversed(path.relative_to(folder).parts)
        digits = next((digits for part in parts if (digits := re.findall(r"\d+", part))), [])
        numbers = tuple(map(int, digits))
        if not numbers or numbers in found:
            other = found.get(numbers, "no number in its name")
            raise InputError(f"{path}: expected numbers in the name that no other file has, got {other}.")
        found[numbers] = path
    if not found:
        raise InputError(f"{folder}: expected files {pattern}, found none.")
    return found


def _modality(series: Path) -> str:
    file = next((file for file in sorted(series.iterdir()) if is_dicom(file)), None)
    return "" if file is None else str(pydicom.dcmread(file, specific_tags=["Modality"]).get("Modality"))


def _several(values: int | Sequence[int]) -> list[int]:
    return [values] if isinstance(values, int) else list(values)


if __name__ == "__main__":
    fire.Fire(prepare_labelled)
