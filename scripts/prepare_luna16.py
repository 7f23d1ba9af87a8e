"""Makes a training list of LUNA16: every volume, without the slices that hold a nodule (IV-A1).

`python scripts/prepare_luna16.py LUNA16_DIR OUTPUT_JSON [--annotations FILE] [--validation 0.1] [--seed 0]`

Name the output `dataset.json` and give its folder to the training as `dataset_dir`. The paper takes 453 of
the 888 volumes and does not say which. This takes all of them: a nodule costs a few slices, and the rest of
its lung serves as well as another. `annotations.csv` holds the nodules of 3 mm and more that at least three
of four readers marked, and no other finding.
"""

import csv
import json
import logging
import math
import sys
from collections import defaultdict
from pathlib import Path

import fire
import numpy as np
import SimpleITK as sitk
from tqdm import tqdm

from normnet.errors import InputError
from normnet.whole_file import written_whole

COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
Nodule = tuple[float, float, float, float]  # centre x, y, z (world, LPS) and diameter, mm
log = logging.getLogger("prepare_luna16")


@fire.decorators.SetParseFns(luna16_dir=str, output_json=str, annotations=str)
def prepare_luna16(
    luna16_dir: str,
    output_json: str,
    annotations: str | None = None,
    validation: float = 0.1,
    seed: int = 0,
) -> None:
    """Writes a MONAI datalist that names every volume and its slices to leave out.

    Args:
        luna16_dir: folder with subset0 ... subset9, each of them with <seriesuid>.mhd and .raw.
        output_json: the list; its paths are relative to its folder where the volumes lie under that, else
            absolute.
        annotations: the nodules; `annotations.csv` in `luna16_dir` by default.
        validation: share of the volumes that validate, more than 0 and less than 1; at least one volume.
        seed: of the draw of those volumes.
    """
    root, output = Path(luna16_dir).resolve(), Path(output_json).resolve()
    volumes = {path.stem: path for path in sorted(root.glob("subset*/*.mhd"))}
    if len(volumes) < 2:
        raise InputError(
            f"{root}: expected LUNA16, subset0 ... subset9 with .mhd files, got {len(volumes)} volumes."
        )
    if not 0 < validation < 1:
        raise InputError(f"--validation: expected a share between 0 and 1, got {validation}.")
    table = Path(annotations) if annotations else root / "annotations.csv"
    nodules = read_nodules(table)
    elsewhere = len(nodules.keys() - volumes.keys())
    if elsewhere:
        log.warning(
            "%s: %d annotated series have no volume in %s; they are passed over.", table, elsewhere, root
        )
    items = []
    for uid, path in tqdm(volumes.items(), desc="Reading headers", unit="CT"):
        image = (
            path.relative_to(output.parent).as_posix() if path.is_relative_to(output.parent) else str(path)
        )
        items.append({"image": image, "exclude_slices": nodule_slices(path, nodules.get(uid, []))})
    chosen = np.random.default_rng(seed).permutation(len(items))
    count = min(max(1, round(validation * len(items))), len(items) - 1)
    datalist = {
        "name": "LUNA16 without the slices that hold a nodule",
        "training": [items[index] for index in sorted(chosen[count:])],
        "validation": [items[index] for index in sorted(chosen[:count])],
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(output) as beside:
        beside.write_text(json.dumps(datalist, indent=1) + "\n", encoding="utf-8")


def read_nodules(table: Path) -> dict[str, list[Nodule]]:
    """Reads the nodules of each series.

    Raises:
        InputError: the table is missing, has other columns, or a line that is not numbers.
    """
    if not table.is_file():
        raise InputError(f"{table}: expected LUNA16's table of nodules, but there is no such file.")
    nodules: dict[str, list[Nodule]] = defaultdict(list)
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise InputError(
                f"{table}: expected the columns {', '.join(COLUMNS)}; {', '.join(missing)} missing."
            )
        for row in rows:
            try:
                x, y, z, diameter = (float(row[column]) for column in COLUMNS[1:])
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"{table}, line {rows.line_num}: expected four numbers, got {row}."
                ) from error
            if not (all(map(math.isfinite, (x, y, z))) and 0 < diameter < math.inf):
                raise InputError(
                    f"{table}, line {rows.line_num}: expected a place and a size in mm, got {row}."
                )
            nodules[row["seriesuid"]].append((x, y, z, diameter))
    return nodules


def nodule_slices(path: Path, nodules: list[Nodule]) -> list[int]:
    """Lists the slices (indices along the file's third axis) that hold any part of a nodule, a ball.

    Raises:
        InputError: the header cannot be read, or a nodule lies outside the volume.
    """
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    try:
        header.ReadImageInformation()
        direction = np.reshape(header.GetDirection(), (3, 3))
        to_index = np.linalg.inv(direction @ np.diag(header.GetSpacing()))
    except (RuntimeError, ValueError, np.linalg.LinAlgError) as error:
        raise InputError(f"{path}: expected the header of a 3D volume, but it cannot be read.") from error
    count = header.GetSize()[2]
    found: set[int] = set()
    for *centre, diameter in nodules:
        middle = float((to_index @ (np.array(centre) - header.GetOrigin()))[2])
        reach = diameter / 2 * float(np.linalg.norm(to_index[2]))
        # A slice reaches half a step to both sides of its index.
        first, last = math.ceil(middle - reach - 0.5), math.floor(middle + reach + 0.5)
        if last < 0 or first >= count:
            raise InputError(f"{path}: expected nodules in slices 0 to {count - 1}, got {middle:.1f}.")
        found.update(range(max(first, 0), min(last, count - 1) + 1))
    return sorted(found)


if __name__ == "__main__":
    logging.basicConfig(format="%(levelname)s: %(message)s")
    try:
        fire.Fire(prepare_luna16)
    except InputError as error:
        sys.exit(str(error))
