"""The cases behind bundle/docs/accuracy.md: real CT, and healthy lungs of an unseen scan with lesions put in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from kept_settings import keep_settings
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from real_ct import DISEASED, HEALTHY, NODULES, put_nodules
from synthetic_slabs import synthesize_in_slabs

from generator import PAPER
from normnet import bundle_root
from normnet.checkpoints import load_weights, weights_hash
from normnet.ensemble import Ensemble

__all__ = ["SYNTHETIC", "Case", "Rules", "lungs_on_ct", "prepared_cases"]

SYNTHETIC = "normal001_synthetic"
SYNTHESIS_SEED = 7


@dataclass(frozen=True)
class Case:
    """One CT, preprocessed, with every member's probability.

    Attributes:
        study: `image`, `lungs`, `lung_mask`, `ct` and `pred`, as `inference.json` has them before postprocessing.
        truth: lesions, (X, Y, Z); on the model's grid for the synthetic case, on the CT's else; None is unknown.
    """

    study: dict[str, Any]
    truth: np.ndarray | None = None

    def of_member(self, member: int) -> "Case":
        """The same case as one member alone sees it."""
        return Case({**self.study, "pred": self.study["pred"][member : member + 1]}, self.truth)


class Rules:
    """The bundle's inference with any of its settings changed.

    Args:
        settings: for every use, such as the lung backend.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def parser(self, **settings: Any) -> ConfigParser:
        """Reads inference.json with these settings."""
        parser = ConfigParser()
        parser.read_config(str(Path(bundle_root()) / "configs" / "inference.json"))
        for name, value in {**self.settings, **settings}.items():
            parser[name] = value
        return parser

    def lesion(self, case: Case, *, on_ct: bool = True, **rule: Any) -> np.ndarray:
        """Segments a case from its probabilities: (X, Y, Z) bool, on the CT's grid or on the model's."""
        parser = self.parser(members=len(case.study["pred"]), **rule)
        steps = parser.get_parsed_content("postprocessing").transforms
        study = dict(case.study)
        for step in steps if on_ct else steps[:2]:
            study = step(study)
        return np.asarray(study["lesion"][0]) > 0


def lungs_on_ct(case: Case) -> np.ndarray:
    """Brings a case's lungs to the CT's grid, as the lesion masks have it: (X, Y, Z) bool."""
    return np.asarray(case.study["lung_mask"][0]) > 0


def prepared_cases(
    ct_dir: Path, out: Path, weights: Path, members: int, rules: Rules
) -> tuple[dict[str, Case], list[dict[str, Any]]]:
    """Preprocesses the cases and asks the networks; what is in OUT already is read from there.

    Returns:
        The cases by name, and the table of the nodules put in.

    Raises:
        InputError: what is in OUT is of other CTs or lungs.
    """
    kept = {"ct_dir": ct_dir, "lungs_backend": rules.parser()["lungs_backend"]}
    keep_settings(out, kept, "*_thorax.pt", "nodules")
    network = load_weights(Ensemble(members), weights).eval()
    inferer = rules.parser().get_parsed_content("inferer")
    cases: dict[str, Case] = {}

    def ask(name: str, study: dict[str, Any], truth: np.ndarray | None = None) -> None:
        stored = out / f"{name}_{weights_hash(weights)}.pt"
        if stored.is_file():
            probability = torch.load(stored, weights_only=True)
        else:
            print(f"{name}: asking the networks", flush=True)
            probability = inferer(study["image"][None], network)[0].as_tensor()
            torch.save(probability, stored)
        cases[name] = Case({**study, "pred": probability}, truth)

    for name in (*DISEASED, HEALTHY):
        ask(name, _preprocessed(ct_dir / f"{name}.nii.gz", out, rules))
    table = put_nodules(ct_dir, out)
    nodules = out / "nodules" / NODULES
    truth = np.asarray(nib.load(f"{nodules}_lesions.nii.gz").dataobj)
    ask(NODULES, _preprocessed(Path(f"{nodules}.nii.gz"), out, rules), truth)
    study, lesion = _with_synthetic_lesions(cases[HEALTHY].study)
    ask(SYNTHETIC, study, lesion)
    return cases, table


def _preprocessed(ct: Path, out: Path, rules: Rules) -> dict[str, Any]:
    stored = out / f"{ct.name.removesuffix('.nii.gz')}_thorax.pt"
    if stored.is_file():
        return torch.load(stored, weights_only=False)  # made here, below
    print(f"{ct.name}: preprocessing", flush=True)
    item = rules.parser().get_parsed_content("preprocessing")({"image": str(ct)})
    study = {key: item[key] for key in ("image", "lungs", "lung_mask", "ct")}
    torch.save(study, stored)
    return study


def _with_synthetic_lesions(study: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    """Puts the paper's lesions into every slab of a healthy thorax area."""
    lungs = study["lungs"].as_tensor()[0] > 0
    image, lesion = synthesize_in_slabs(
        study["image"].as_tensor()[0].float(),
        lungs,
        rng=torch.Generator().manual_seed(SYNTHESIS_SEED),
        spec=PAPER,
    )
    changed = MetaTensor(image[None], affine=study["image"].affine, applied_operations=[])
    return {**study, "image": changed}, lesion.numpy()
