"""One case as in Fig. 5 and 6: input, what is healthy, the difference, and the result against the truth.

python scripts/figure.py CT TRUTH OUTPUT.png STUDY_DIR [STUDY_DIR ...]
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import fire
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from monai.data import MetaTensor
from monai.transforms import Orientation

from normnet.errors import InputError, report_input_errors
from normnet.intensity import scale_window
from normnet.masks import read_mask
from normnet.reading import read_ct
from normnet.whole_file import written_whole

COLUMNS = ("input", "healthy", "difference", "result")
TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE = (0.1, 0.8, 0.2), (0.2, 0.4, 1.0), (0.95, 0.2, 0.15)
"""Green, blue and red, as in Fig. 5."""

PANEL_INCHES, DPI = 2.4, 130


@fire.decorators.SetParseFn(str)
def figure(ct: str, truth: str, output: str, *study_dirs: str) -> None:
    """Draws one row for each result: the lungs of the first one, in the slice with most true lesion.

    A folder with reconstruction.nii.gz is a compared method's: the reconstruction, and the anomaly. Another is
    NormNet's: the healthy tissue, and the lungs without it (Fig. 4f).

    Args:
        ct: the CT.
        truth: its lesion mask.
        output: the PNG.
        study_dirs: results of one study, such as OUT/SET/vae/results/covid_0; each row is named for its second parent.
    """
    report_input_errors()
    if not study_dirs:
        raise InputError(f"{output}: expected at least one folder of results to draw, got none.")
    image = cast(MetaTensor, Orientation(axcodes="RAS", labels=None)(read_ct(ct)))
    lesion = read_mask(truth, like=image)[0].numpy() > 0
    z = int(lesion.sum(axis=(0, 1)).argmax())
    rows, box = {}, None
    for folder in map(Path, study_dirs):
        lungs = read_mask(folder / "lungs.nii.gz", like=image)[0].numpy() > 0
        box = box or lung_box(lungs)
        shown = scale_window(image)[0].numpy() * lungs
        found = read_mask(folder / "lesion.nii.gz", like=image)[0].numpy() > 0
        if (folder / "reconstruction.nii.gz").is_file():
            names = ("reconstruction.nii.gz", "anomaly.nii.gz")
            healthy, difference = (read_mask(folder / name, like=image)[0].numpy() for name in names)
        else:
            healthy = shown * (read_mask(folder / "healthy.nii.gz", like=image)[0].numpy() > 0)
            difference = shown - healthy
        seen = (*box, z)
        result = overlay(shown[seen], found[seen], lesion[seen])
        name = folder.resolve().parents[1].name
        rows[name] = [shown[seen], healthy[seen], difference[seen], result]
    draw(rows, COLUMNS, Path(output))


def lung_box(lungs: np.ndarray) -> tuple[slice, slice]:
    """Finds the rows and columns that hold lung, (X, Y, Z) bool, in any slice."""
    x, y = (np.flatnonzero(lungs.any(axis=(other, 2))) for other in (1, 0))
    return slice(x[0], x[-1] + 1), slice(y[0], y[-1] + 1)


def overlay(shown: np.ndarray, found: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """Colours a slice: true positive green, false negative blue, false positive red.

    Args:
        shown: (X, Y) in [0, 1].
        found: (X, Y) bool, the mask that is judged.
        lesion: (X, Y) bool, the truth.

    Returns:
        (X, Y, 3) in [0, 1].
    """
    picture = np.repeat(shown[..., None], 3, axis=2).astype(np.float32)
    picture[found & lesion] = TRUE_POSITIVE
    picture[lesion & ~found] = FALSE_NEGATIVE
    picture[found & ~lesion] = FALSE_POSITIVE
    return picture


def draw(rows: dict[str, list[np.ndarray]], columns: Sequence[str], path: Path) -> None:
    """Writes panels as PNG, whole or not at all.

    Args:
        rows: by name, slices of RAS volumes, (X, Y) or (X, Y, 3) in [0, 1], all of one size.
        columns: titles, one for each panel of a row.
        path: the PNG.
    """
    across, down = next(iter(rows.values()))[0].shape[:2]
    size = (PANEL_INCHES * len(columns), PANEL_INCHES * down / across * len(rows))
    sheet = Figure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(sheet)
    panels = sheet.subplots(len(rows), len(columns), squeeze=False)
    for row, (name, pictures) in enumerate(rows.items()):
        axes = panels[row]
        axes[0].set_ylabel(name)
        for panel, picture, title in zip(axes, pictures, columns, strict=True):
            # Turned to RAS above: now the patient's right lies on the left, the front on top.
            panel.imshow(np.swapaxes(picture, 0, 1)[::-1, ::-1], cmap="gray", vmin=0, vmax=1)
            panel.set_xticks([])
            panel.set_yticks([])
            if row == 0:
                panel.set_title(title)
    with written_whole(path) as beside:
        sheet.savefig(beside)


if __name__ == "__main__":
    fire.Fire(figure)
