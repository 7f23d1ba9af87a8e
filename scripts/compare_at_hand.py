"""Makes bundle/docs/comparison.md from what is at hand: generated chests, and real nodules put into healthy lung.

python scripts/compare_at_hand.py CT_DIR OUTPUT_DIR
"""

import json
from pathlib import Path

import fire
import numpy as np
from compare import compare
from compare_methods import METHODS
from ct_with_lungs import ct_with_lungs
from nodule_ct import draw_nodules, write_with_nodules

from generator.cohort import write_cohort
from normnet import bundle_root

CASES = 5
"""CTs of each labelled set: nnU-Net's five folds need as many."""

NODULES_A_CASE, SEED = 20, 0
SPACING = (1.6, 1.6, 2.0)
"""Of the CT that nodules are put in, mm: the resolution that everything is compared at."""

ABOUT = """\
All but the shipped weights at half the paper's resolution (1.6 x 1.6 x 2 mm), on one core. Healthy CTs, no label: to
train on, three generated chests and LIDC-IDRI 0001 (its nodule left out); to choose thresholds on, a fourth generated
chest and the weasis planning CT. **Generated**: 5 generated chests with COVID-like lesions, the masks exact.
**Nodules**: 5 times normal001, one healthy patient's CT, with 20 real nodules each put into its lungs (LIDC-IDRI; no
nodule twice; as in [real_ct.md](real_ct.md)). So the second set has one patient's lungs: 5-fold nnU-Net has trained
on the same lungs with other nodules, and two shipped members on them without any. Cut edges make put-in nodules easy
to tell. Few cases, short trainings: a check on the chain, not a claim about patients.

How to read it: as in the paper's Table III, NormNet is ahead of every method without a label on both sets, and behind
nnU-Net, which has the labels, on cases like those that nnU-Net has trained on. On the set that it has not seen,
nnU-Net is far behind here; in the paper it is not. NormNet's three members, 200 iterations each, call 76 % of the
healthy bright voxels of the generated set healthy and 85 % of the nodules'. The autoencoders rebuild little of the
lungs: the mean of the reconstruction is, in per cent of the lungs' own, 6 for AE, 14 for VAE, 3 for VAE Spatial, 2
for Context VAE, 6 for GMVAE, 4 for Bayesian VAE and 22 for Constrained VAE (every eighth slice of the ten CTs;
f-AnoGAN's is below 0). Their anomaly is for the most part the lung's own brightness, and they score what bright lung
scores. The shipped weights are trained on real CT alone, the others on three generated chests besides: on generated
lesions they are two points behind, on nodules well ahead.

With 150 iterations for each, 50 a member, the order was another: NormNet had a DSC of 58.1 and 39.9, bright lung 69.8
and 43.5, nnU-Net 46.1 and 57.2. Its networks then call 0.2 and 2.9 % of the healthy bright voxels healthy, and its
row is little more than its post-processing."""


@fire.decorators.SetParseFns(ct_dir=str, output_dir=str, page_path=str)
def compare_at_hand(
    ct_dir: str,
    output_dir: str,
    iterations: int = 600,
    members: int = 3,
    methods: str | tuple[str, ...] = tuple(METHODS),
    supervised: bool = True,
    shipped: bool = True,
    page_path: str = str(Path(bundle_root()) / "docs" / "comparison.md"),
) -> None:
    """Makes the data, compares, writes the page; what is done is not done again.

    Args:
        ct_dir: lidc0001 with its nodule mask, normal001, dicom_chest/ and lidc_nodules/.
        output_dir: data, weights, masks and scores.
        iterations: of each method.
        members: of NormNet, which share them.
        methods: which of the compared ones, with commas.
        supervised: whether nnU-Net is trained, too.
        shipped: whether the bundle's own weights get a row.
        page_path: the page.
    """
    cts, out = Path(ct_dir).resolve(), Path(output_dir).resolve()
    healthy, generated, nodules = (out / "data" / name for name in ("healthy", "generated", "nodules"))
    if not generated.is_dir():
        cohort = out / "cohort"
        write_cohort(cohort, healthy=4, diseased=CASES, seed=SEED)
        healthy.mkdir(parents=True, exist_ok=True)
        listed = {
            "training": [
                *({"image": str(cohort / "healthy" / f"healthy_{number}.nii.gz")} for number in range(3)),
                {
                    "image": str(cts / "lidc0001.nii.gz"),
                    "exclude": str(cts / "lidc0001_nodule_mask.nii.gz"),
                },
            ],
            "validation": [
                {"image": str(cohort / "healthy" / "healthy_3.nii.gz")},
                {"image": str(cts / "dicom_chest" / "series")},
            ],
        }
        (healthy / "dataset.json").write_text(json.dumps(listed, indent=1), encoding="utf-8")
        (cohort / "diseased").rename(generated)
    if not nodules.is_dir():
        beside = nodules.with_name("unfinished")
        put_nodules(cts, beside)
        beside.rename(nodules)
    compare(
        str(healthy),
        f"{generated},{nodules}",
        str(out),
        iterations=iterations,
        members=members,
        methods=methods,
        learning_rate=1e-3,
        restoration_renewal=15,
        half_resolution=True,
        nnunet_small=True,
        supervised=supervised,
        shipped=shipped,
        page_path=page_path,
        about=ABOUT,
        command="python scripts/compare_at_hand.py CT_DIR OUTPUT_DIR",
    )


def put_nodules(cts: Path, folder: Path) -> None:
    """Writes the healthy CT `CASES` times, each time with other nodules in other places, and their masks."""
    ct, lungs, affine = ct_with_lungs(cts / "normal001.nii.gz", SPACING)
    rng = np.random.default_rng(SEED)
    _, nodules = draw_nodules(cts / "lidc_nodules", CASES * NODULES_A_CASE, SPACING, rng)
    folder.mkdir(parents=True, exist_ok=True)
    for case in range(CASES):
        write_with_nodules(folder / f"nodules_{case}.nii.gz", ct, lungs, affine, nodules[case::CASES], rng)


if __name__ == "__main__":
    fire.Fire(compare_at_hand)
