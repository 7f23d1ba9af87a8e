"""Lays a public set out as this project reads it: <case>.nii.gz, <case>_lesions.nii.gz, <case>_lungs.nii.gz.

Coronacases (Zenodo 3757476; its Radiopaedia volumes have lost their HU, the paper leaves them out):
    python scripts/prepare_labelled.py COVID-19-CT-Seg_20cases OUT --lesions Infection_Mask --lungs Lung_Mask
        --cts_named "coronacases*.nii.gz" --masks_named "coronacases*.nii.gz"
Radiopaedia (medicalsegmentation.com; without volume 6, which has about 70 lesion voxels):
    python scripts/prepare_labelled.py rp_im OUT --lesions rp_msk --lungs rp_lung_msk --leave_out 6
StructSeg 2019, for train_lungs.py (labels 1 and 2 are the lungs):
    python scripts/prepare_labelled.py Thoracic_OAR OUT --lungs Thoracic_OAR --lung_labels 1,2
        --cts_named "*/data.nii.gz" --masks_named "*/label.nii.gz"
MSD Task06 with the lung masks of Ma et al.; NSCLC-Radiomics, its CTs as NIfTI, is like it:
    python scripts/prepare_labelled.py Task06_Lung/imagesTr OUT --lungs LUNG_MASKS
"""

import re
from collections.abc import Sequence
from pathlib import Path

import fire
import nibabel as nib
import numpy as np
from tqdm import tqdm

from normnet.errors import InputError, report_input_errors
from normnet.report import written_whole

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
) -> None:
    """Writes a folder that `inference.json`, `evaluate.json`, `compare.py` and `train_lungs.py` take.

    A mask belongs to the CT with the same numbers in its name: coronacases_001 to coronacases_org_001.

    Args:
        cts: folder of the CTs.
        output_dir: where the cases go.
        lesions: folder of the lesion masks.
        lungs: folder of the lung masks.
        cts_named: which files in `cts` are CTs.
        masks_named: which files in the other folders are masks.
        lesion_labels: the labels that are lesion: ground glass and consolidation.
        lung_labels: the labels that are lung: right and left.
        leave_out: last numbers of cases to leave out, such as 6.
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
        for name, path in images.items():
            if name not in masks:
                raise InputError(
                    f"{path}: expected its mask among the {kind} masks, found none with its numbers."
                )
    out.mkdir(parents=True, exist_ok=True)
    for name, path in tqdm(images.items(), desc="Preparing", unit="CT"):
        case = "_".join(part for part in (*path.relative_to(root).parts[:-1], path.name.split(".")[0]))
        with written_whole(out / f"{case}.nii.gz") as beside:
            beside.write_bytes(path.read_bytes())
        for kind, (masks, labels) in kinds.items():
            mask = nib.load(masks[name])
            wanted = np.isin(np.rint(np.asarray(mask.dataobj)), labels).astype(np.uint8)
            nib.save(nib.Nifti1Image(wanted, mask.affine), out / f"{case}_{kind}.nii.gz")


def numbered(folder: Path, pattern: str) -> dict[Numbers, Path]:
    """Lists the files of a folder by the numbers in their names.

    Raises:
        InputError: there is no such file, one without a number, or two with the same.
    """
    found: dict[Numbers, Path] = {}
    for path in sorted(folder.glob(pattern)):
        numbers = tuple(int(digits) for digits in re.findall(r"\d+", str(path.relative_to(folder))))
        if not numbers or numbers in found:
            other = found.get(numbers, "no number in its name")
            raise InputError(f"{path}: expected numbers in the name that no other file has, got {other}.")
        found[numbers] = path
    if not found:
        raise InputError(f"{folder}: expected files {pattern}, found none.")
    return found


def _several(values: int | Sequence[int]) -> list[int]:
    return [values] if isinstance(values, int) else list(values)


if __name__ == "__main__":
    fire.Fire(prepare_labelled)
