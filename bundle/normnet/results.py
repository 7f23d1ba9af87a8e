"""A study's results as files: masks on the CT's own grid, a report, a picture."""

import shutil
import tempfile
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from tqdm import tqdm

from normnet import __version__
from normnet.checkpoints import weights_hash
from normnet.ct_grid import as_in_file, save_nifti
from normnet.errors import InputError
from normnet.lung_sides import sides_in_ct
from normnet.pictures import overlay_picture
from normnet.report import lesion_report, write_report

__all__ = ["SaveStudy", "StudyResult", "study_result"]


@dataclass(frozen=True)
class StudyResult:
    """What was found in one study; arrays (X, Y, Z) of the CT's voxels, in RAS.

    Attributes:
        ct: HU.
        masks: `lungs`, `lesion` and `healthy`, bool; the latter two are cut to the lungs.
        disagreement: float32, bits; 0 outside the lungs.
        report: the lesion load (`normnet.report.lesion_report`).
        spacing: mm.
    """

    ct: np.ndarray
    masks: dict[str, np.ndarray]
    disagreement: np.ndarray
    report: dict[str, Any]
    spacing: tuple[float, ...]


def study_result(study: Mapping[str, Any]) -> StudyResult:
    """Gathers what the pipeline of inference.json leaves of a study.

    Args:
        study: `ct` (1, X, Y, Z) HU, and on its grid `lung_mask`, `lesion`, `healthy` and `disagreement`, which is cut
            to the lungs in place: it is the largest; all in RAS.
    """
    ct, disagreement = (study[key][0].cpu().numpy() for key in ("ct", "disagreement"))
    lungs, lesion, healthy = (study[key][0].cpu().numpy() > 0 for key in ("lung_mask", "lesion", "healthy"))
    lesion &= lungs
    healthy &= lungs
    spacing = tuple(float(step) for step in study["ct"].pixdim)
    left, right = sides_in_ct(ct, lungs, spacing)
    return StudyResult(
        ct=ct,
        masks={"lungs": lungs, "lesion": lesion, "healthy": healthy},
        disagreement=np.multiply(disagreement, lungs, out=disagreement),
        report=lesion_report(lesion, lungs, left, right, spacing),
        spacing=spacing,
    )


class SaveStudy:
    """Writes OUT/<study>/ for every study the evaluator has finished: the whole folder, or nothing of it.

    lesion, healthy and lungs .nii.gz (uint8) and disagreement.nii.gz (float32, bits) lie on the CT's grid voxel for
    voxel; beside them report.json and overlay.png. Lesion and healthy tissue are cut to the lungs of the CT's grid.

    Args:
        output_dir: OUT; it is made.
        checkpoint: the weights, named in the report by their hash.
        probability: also writes, for evaluation, vote.nii.gz, what the ensemble calls healthy, bright or not, and
            probability.nii.gz, the members' mean probability of healthy tissue.
    """

    files = frozenset(
        {f"{name}.nii.gz" for name in ("lesion", "healthy", "lungs", "disagreement", "vote", "probability")}
        | {"report.json", "overlay.png"}
    )
    """All that a study's folder may hold; one with anything else in it is not ours to replace."""

    def __init__(self, output_dir: str | Path, checkpoint: str | Path, probability: bool = False) -> None:
        self.output_dir, self.checkpoint = Path(str(output_dir)), Path(str(checkpoint))
        self.probability = probability

    def attach(self, engine: Engine) -> None:
        """Registers with an evaluator."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.save_batch)

    def save_batch(self, engine: Engine) -> None:
        """Writes the studies of the batch that was just finished.

        Raises:
            InputError: the folder cannot be written.
        """
        state: Any = engine.state
        for study, output in zip(state.batch, state.output, strict=True):
            self.save({**study, **output})

    def save(self, study: Mapping[str, Any]) -> None:
        """Writes one study: all files beside, then one rename; earlier results of its name give way. Says where.

        Raises:
            InputError: the folder cannot be written, or holds something else than earlier results.
        """
        folder = self.output_dir / str(study["study"])
        _refuse_to_replace(folder, self.files)
        try:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(dir=self.output_dir, prefix=f".{folder.name}."))
            earlier = beside.with_name(f"{beside.name}.earlier")
        except OSError as error:
            raise InputError(f"{folder}: results cannot be written here ({error.strerror}).") from error
        try:
            found = self._write(study, beside)
            beside.chmod(0o755)
            if folder.exists():
                folder.replace(earlier)
            beside.replace(folder)
            if earlier.is_symlink():
                earlier.unlink()
            shutil.rmtree(earlier, ignore_errors=True)
        except OSError as error:
            if earlier.exists():
                earlier.replace(folder)
            raise InputError(
                f"{folder}: results cannot be written here ({error.strerror or error})."
            ) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        tqdm.write(f"{folder}: {found}")

    def _write(self, study: Mapping[str, Any], folder: Path) -> str:
        """Writes the files, and says in a few words what was found."""
        result = study_result(study)
        volumes = {name: mask.view(np.uint8) for name, mask in result.masks.items()}
        volumes["disagreement"] = result.disagreement
        if self.probability:
            volumes |= {name: study[name][0].cpu().numpy() for name in ("vote", "probability")}
        for name, volume in volumes.items():
            save_nifti(*as_in_file(volume, study["ct"]), folder / f"{name}.nii.gz")
        versions = {"normnet": __version__, "torch": str(torch.__version__)}
        write_report(folder / "report.json", result.report, versions, weights_hash(self.checkpoint))
        overlay_picture(
            folder / "overlay.png",
            result.ct,
            result.masks["lesion"],
            result.masks["healthy"] & ~result.masks["lesion"],
            result.masks["lungs"],
            result.disagreement,
            result.spacing,
            title=str(study["study"]),
        )
        return f"{result.report['lesion_ml']:.1f} mL of lesions in {result.report['lung_ml']:.0f} mL of lungs"


def _refuse_to_replace(folder: Path, files: Set[str]) -> None:
    """Raises InputError where results would take the place of what is none, such as the study itself."""
    if not folder.exists():
        return
    found = {file.name for file in folder.iterdir()} if folder.is_dir() else {"a file"}
    others = sorted(name for name in found - files if not name.startswith("."))
    if others:
        raise InputError(
            f"{folder}: expected a new folder or one with earlier results, but found {others[0]} there; "
            "give another --output_dir."
        )
