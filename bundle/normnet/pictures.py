"""One picture of a study: where the network saw healthy tissue, where lesions, and how sure it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from normnet.boxes import boxes_round
from normnet.report import MM3_PER_ML
from normnet.whole_file import written_whole

__all__ = ["LUNG_WINDOW_HU", "axial_slices", "overlay_picture"]

LUNG_WINDOW_HU = (-1350.0, 150.0)
"""The usual lung window: level -600, width 1500."""

AXIAL_SLICES = 4
MARGIN_MM = 12.0
"""Shown around the lungs."""

PANEL_INCHES, DPI = 2.6, 130
GROUND, INK, QUIET = "#0b0e13", "#e8ebf0", "#8b94a3"
HEALTHY, LESION = "#3fb6a8", "#ff5c4d"
HEALTHY_OPACITY, LESION_OPACITY = 0.9, 0.4
DIMMING = 0.75
"""Outside the lungs, beside the CT itself, so that the colours stand out."""

COLUMNS = ("CT", "healthy tissue", "lesions", "disagreement")


@dataclass(frozen=True)
class _Section:
    """One plane through all volumes: a row of the picture."""

    label: str
    index: tuple[slice | int, ...]
    aspect: float

    def of(self, volume: np.ndarray) -> np.ndarray:
        """Cuts the plane as a radiologist sees it: the patient's right on the left, front or head on top."""
        return volume[self.index][::-1, ::-1].T


def overlay_picture(
    path: str | Path,
    ct: np.ndarray,
    lesion: np.ndarray,
    healthy: np.ndarray,
    lungs: np.ndarray,
    disagreement: np.ndarray,
    spacing: Sequence[float],
    title: str = "",
) -> None:
    """Draws axial slices through most of the lesion and one coronal slice as PNG, whole or not at all.

    The columns: CT, healthy tissue, lesions, disagreement. Without a lesion the slices go through the lung.

    Args:
        path: the PNG.
        ct: (X, Y, Z) HU, RAS.
        lesion: (X, Y, Z) bool.
        healthy: (X, Y, Z) bool.
        lungs: (X, Y, Z) bool.
        disagreement: (X, Y, Z) bits in [0, 1].
        spacing: voxel size along X, Y, Z in mm.
        title: name of the study.

    Raises:
        ValueError: when the shapes differ.
    """
    volumes = (ct, lesion, healthy, lungs, disagreement)
    if len({volume.shape for volume in volumes}) > 1:
        shapes = ", ".join(str(volume.shape) for volume in volumes)
        raise ValueError(f"expected volumes of one shape (X, Y, Z), got {shapes}")
    volume_ml = np.count_nonzero(lesion) * float(np.prod(spacing)) / MM3_PER_ML
    share = 100 * np.count_nonzero(lesion) / max(np.count_nonzero(lungs), 1)
    margin = [round(MARGIN_MM / step) for step in spacing]
    (frame,) = boxes_round(lungs, margin) or [(slice(None),) * 3]
    ct, lesion, healthy, lungs, disagreement = (volume[frame] for volume in volumes)
    sections = _sections(lesion if lesion.any() else lungs, spacing, lowest=frame[2].start or 0)

    figure, rows = _layout(sections, ct.shape, spacing)
    for section, axes in zip(sections, rows, strict=True):
        for panel in axes:
            low, high = LUNG_WINDOW_HU
            panel.imshow(section.of(ct), cmap="gray", vmin=low, vmax=high, aspect=section.aspect)
        for panel in axes[1:]:
            _tint(panel, section, ~lungs, GROUND, DIMMING)
        _tint(axes[1], section, healthy, HEALTHY, HEALTHY_OPACITY)
        _tint(axes[2], section, lesion, LESION, LESION_OPACITY)
        outline = section.of(lesion)
        if outline.any() and not outline.all():
            axes[2].contour(outline, levels=[0.5], colors=[LESION], linewidths=0.8)
        heat = _heat(axes[3], section, disagreement, lungs)
        axes[0].set_ylabel(section.label, color=QUIET, fontsize=7)
        plate = {"facecolor": GROUND, "alpha": 0.6, "edgecolor": "none", "pad": 1.5}
        axes[0].text(
            0.02, 0.97, "R", color=INK, fontsize=7, va="top", bbox=plate, transform=axes[0].transAxes
        )
    found = f"lesions {volume_ml:.1f} mL, {share:.2f} % of the lung" if lesion.any() else "no lesion found"
    _caption(figure, rows, heat, " \N{MIDDLE DOT} ".join(part for part in (title, found) if part))
    with written_whole(path) as beside:
        # 8 % larger than by default, and written in half of the time.
        figure.savefig(beside, facecolor=GROUND, pil_kwargs={"compress_level": 3})


def axial_slices(mask: np.ndarray, count: int = AXIAL_SLICES) -> list[int]:
    """Chooses slices that stand for a mask: cuts it into parts of equal volume and takes the middle of each.

    Args:
        mask: (X, Y, Z) bool.
        count: how many, at most.

    Returns:
        z indices from top to bottom; fewer than `count` for a mask of few slices, the middle one for no mask.
    """
    below = np.cumsum(mask.sum(axis=(0, 1)))
    if not below[-1]:
        return [mask.shape[2] // 2]
    middles = (np.arange(count) + 0.5) / count * below[-1]
    return sorted({int(z) for z in np.searchsorted(below, middles)}, reverse=True)


def _sections(shown: np.ndarray, spacing: Sequence[float], lowest: int) -> list[_Section]:
    """Chooses the planes; axial ones are numbered in the whole volume, where `lowest` is the first here."""
    x_mm, y_mm, z_mm = spacing
    everything = slice(None)
    axial = [
        _Section(f"axial, z = {lowest + z}", (everything, everything, z), y_mm / x_mm)
        for z in axial_slices(shown)
    ]
    coronal = int(shown.sum(axis=(0, 2)).argmax())
    return [*axial, _Section("coronal", (everything, coronal, everything), z_mm / x_mm)]


def _layout(
    sections: Sequence[_Section], shape: tuple[int, ...], spacing: Sequence[float]
) -> tuple[Figure, list[list[Axes]]]:
    """Makes a dark figure whose rows are as high as their sections, so that no panel is stretched."""
    width, depth, height = (count * step for count, step in zip(shape, spacing, strict=True))
    heights = [(height if section.label == "coronal" else depth) / width for section in sections]
    top, bottom, side = 0.55, 0.35, 0.3
    size = (side + PANEL_INCHES * len(COLUMNS) + 0.55, top + PANEL_INCHES * sum(heights) + bottom)
    figure = Figure(figsize=size, dpi=DPI)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        len(sections),
        len(COLUMNS),
        height_ratios=heights,
        left=side / size[0],
        right=1 - 0.55 / size[0],
        top=1 - top / size[1],
        bottom=bottom / size[1],
        wspace=0.02,
        hspace=0.02 * len(sections) / sum(heights),
    )
    rows = [
        [figure.add_subplot(grid[row, column]) for column in range(len(COLUMNS))]
        for row in range(len(sections))
    ]
    for panel in (panel for axes in rows for panel in axes):
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_facecolor(GROUND)
        for spine in panel.spines.values():
            spine.set_visible(False)
    for panel, name in zip(rows[0], COLUMNS, strict=True):
        panel.set_title(name, color=QUIET, fontsize=8, pad=4)
    return figure, rows


def _tint(panel: Axes, section: _Section, mask: np.ndarray, colour: str, opacity: float) -> None:
    plane = section.of(mask)
    layer = np.zeros((*plane.shape, 4), dtype=np.float32)
    layer[plane] = (*to_rgb(colour), opacity)
    panel.imshow(layer, aspect=section.aspect, interpolation="nearest")


def _heat(panel: Axes, section: _Section, disagreement: np.ndarray, lungs: np.ndarray) -> AxesImage:
    """Draws the disagreement over the CT where there is any."""
    plane = section.of(disagreement)
    shown = np.ma.masked_where((plane <= 0) | ~section.of(lungs), plane)
    return panel.imshow(shown, cmap="plasma", vmin=0, vmax=1, aspect=section.aspect, interpolation="nearest")


def _caption(figure: Figure, rows: Sequence[Sequence[Axes]], heat: AxesImage, heading: str) -> None:
    width, height = figure.get_size_inches()
    left = rows[0][0].get_position().x0
    figure.text(left, 1 - 0.08 / height, heading, color=INK, fontsize=10, va="top", weight="bold")
    note = "R: the patient's right. Research use, not a medical device."
    figure.text(left, 0.1 / height, note, color=QUIET, fontsize=6.5, va="bottom")
    last = rows[-1][-1].get_position()
    bar = figure.colorbar(
        heat, cax=figure.add_axes((last.x1 + 0.1 / width, last.y0, 0.09 / width, last.height))
    )
    bar.set_label("bits", color=QUIET, fontsize=7)
    bar.set_ticks([0, 1])
    bar.ax.tick_params(colors=QUIET, labelsize=6.5, length=0)
    bar.outline.set_visible(False)
