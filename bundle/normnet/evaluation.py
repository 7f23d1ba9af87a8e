"""Scores lesion masks against true ones: Tables II and III, whatever method made the masks (IV-D)."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from monai.data import MetaTensor
from tqdm import tqdm

from normnet.errors import InputError
from normnet.intensity import BRIGHT_HU
from normnet.masks import check_label_values, read_mask
from normnet.metrics import BRIGHT_SCORES, VOXEL_SCORES, bright_voxel_scores, voxel_scores
from normnet.reading import read_ct, read_volume
from normnet.report import MM3_PER_ML
from normnet.studies import find_studies
from normnet.whole_file import written_whole

__all__ = [
    "EvaluationCase",
    "Row",
    "evaluate_cases",
    "evaluate_folder",
    "format_table",
    "summarize",
    "write_table",
]

Row = dict[str, str | float]
"""Scores of one case by the names of `COLUMNS`, and its name under "case"; NaN is not measured."""

BRIGHT_COLUMNS = tuple(f"bright_{score}" for score in BRIGHT_SCORES)
LESION_COLUMNS = (*VOXEL_SCORES, "lesion_ml", "true_lesion_ml")
COLUMNS = (*LESION_COLUMNS, *BRIGHT_COLUMNS)
"""Scores per cent, volumes in mL."""


@dataclass(frozen=True)
class EvaluationCase:
    """The files of one case, all on one grid.

    Attributes:
        name: of the case.
        prediction: lesion mask of the method that is scored.
        truth: true lesion mask.
        image: the CT; with it, lungs and healthy the bright voxels are scored too (Table II).
        lungs: lung mask.
        healthy: the vote for healthy tissue.
        probability: the members' mean probability of healthy tissue; with it there is an AUC.
    """

    name: str
    prediction: str | Path
    truth: str | Path
    image: str | Path | None = None
    lungs: str | Path | None = None
    healthy: str | Path | None = None
    probability: str | Path | None = None


def evaluate_cases(cases: Iterable[EvaluationCase]) -> list[Row]:
    """Scores every case.

    Returns:
        A row for each case.

    Raises:
        InputError: a file is missing, cannot be read or is no mask, or the masks of a case lie on different grids.
    """
    return [_evaluate(case) for case in cases]


def evaluate_folder(results_dir: str | Path, dataset_dir: str | Path, output_csv: str | Path) -> list[Row]:
    """Scores the results of inference against the `<case>_lesions` masks beside the CTs, and prints a table.

    Studies without such a mask are left out; one that cannot be scored does not stop the others.

    Args:
        results_dir: holds <study>/lesion.nii.gz; for the bright voxels also lungs.nii.gz and vote.nii.gz, or
            healthy.nii.gz in its place; for the AUC probability.nii.gz.
        dataset_dir: the CTs, as for inference.
        output_csv: where the table goes.

    Returns:
        A row for each case.

    Raises:
        InputError: no study has a true mask, the table cannot be written; or, when the others are scored, a study
            could not be: it has no result, or a file cannot be read.
    """
    cases = []
    for study in find_studies(dataset_dir):
        if "lesions" not in study:
            continue
        results = Path(results_dir) / study["study"]
        lungs, healthy, vote, probability = (
            results / f"{name}.nii.gz" for name in ("lungs", "healthy", "vote", "probability")
        )
        healthy = vote if vote.exists() else healthy
        cases.append(
            EvaluationCase(
                name=study["study"],
                prediction=results / "lesion.nii.gz",
                truth=study["lesions"],
                image=study["image"],
                lungs=lungs if lungs.exists() else None,
                healthy=healthy if healthy.exists() else None,
                probability=probability if probability.exists() else None,
            )
        )
    if not cases:
        raise InputError(
            f"{dataset_dir}: expected true masks <case>_lesions.nii.gz beside the CTs, but found none."
        )
    rows: list[Row] = []
    failed: list[str] = []
    for case in tqdm(cases, desc="Scoring", unit="case"):
        try:
            rows.append(_evaluate(case))
        except InputError as error:
            failed.append(case.name)
            tqdm.write(f"error: {error}")
    if rows:
        write_table(rows, output_csv)
        print(format_table(rows))
    if failed:
        raise InputError(f"{len(failed)} of {len(cases)} studies could not be scored: {', '.join(failed)}.")
    return rows


def summarize(rows: Sequence[Row]) -> tuple[Row, Row]:
    """Gives mean and standard deviation (n - 1) of each column over the cases that have the score."""
    mean: Row = {"case": "mean"}
    deviation: Row = {"case": "sd"}
    for column in _columns(rows):
        values = np.array([row.get(column, np.nan) for row in rows], dtype=float)
        values = values[np.isfinite(values)]
        mean[column] = float(values.mean()) if len(values) else np.nan
        deviation[column] = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    return mean, deviation


def write_table(rows: Sequence[Row], path: str | Path) -> None:
    """Writes the rows, their mean and standard deviation as CSV; an empty field was not measured.

    Raises:
        InputError: the file cannot be written.
    """
    columns = _columns(rows)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["case", *columns])
            for row in (*rows, *summarize(rows)):
                table.writerow([row["case"], *(_number(row, column, ".3f") for column in columns)])
    except OSError as error:
        raise InputError(f"{path}: the scores cannot be written here ({error.strerror}).") from error


def format_table(rows: Sequence[Row]) -> str:
    """Lays out lesions and, where scored, bright voxels (Tables III and II) as text, mean +- sd last."""
    titles = {"Lesions, per cent and mL": LESION_COLUMNS, "Bright lung voxels, per cent": BRIGHT_COLUMNS}
    measured = set(_columns(rows))
    return "\n\n".join(
        f"{title}\n{_block(rows, columns)}" for title, columns in titles.items() if measured & set(columns)
    )


def _block(rows: Sequence[Row], columns: Sequence[str]) -> str:
    mean, deviation = summarize(rows)
    lines = [["case", *(column.removeprefix("bright_") for column in columns)]]
    lines += [[str(row["case"]), *(_number(row, column) or "-" for column in columns)] for row in rows]
    lines.append(
        [
            "mean +- sd",
            *(
                " +- ".join(filter(None, (_number(mean, key), _number(deviation, key)))) or "-"
                for key in columns
            ),
        ]
    )
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    text = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    rule = "-" * len(text[0])
    return "\n".join([text[0], rule, *text[1:-1], rule, text[-1]])


def _evaluate(case: EvaluationCase) -> Row:
    grid = read_volume(case.truth) if case.image is None else read_ct(case.image)
    truth = _mask(case.truth, grid)
    prediction = _mask(case.prediction, grid)
    voxel_ml = float(np.prod(np.asarray(grid.pixdim, dtype=float))) / MM3_PER_ML
    row: Row = {
        "case": case.name,
        **voxel_scores(prediction, truth),
        "lesion_ml": np.count_nonzero(prediction) * voxel_ml,
        "true_lesion_ml": np.count_nonzero(truth) * voxel_ml,
    }
    if case.image is not None and case.lungs is not None and case.healthy is not None:
        bright = _mask(case.lungs, grid) & (grid[0].numpy() >= BRIGHT_HU)
        probability = None if case.probability is None else _array(read_mask(case.probability, like=grid))
        scores = bright_voxel_scores(_mask(case.healthy, grid), truth, bright, probability)
        row |= {f"bright_{score}": value for score, value in scores.items()}
    return row


def _mask(path: str | Path, grid: MetaTensor) -> np.ndarray:
    labels = _array(read_mask(path, like=grid))
    check_label_values(labels, str(path))
    return labels != 0


def _array(volume: MetaTensor) -> np.ndarray:
    return volume[0].numpy()


def _columns(rows: Sequence[Mapping[str, str | float]]) -> list[str]:
    """Names the columns that some row has, in the order of `COLUMNS`."""
    return [column for column in COLUMNS if any(column in row for row in rows)]


def _number(row: Row, column: str, layout: str = ".1f") -> str:
    value = float(row.get(column, np.nan))
    return format(value, layout) if np.isfinite(value) else ""
