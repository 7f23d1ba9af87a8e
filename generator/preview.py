"""A montage of what the generator does: healthy slice, with lesions, lesion mask, target (III-C)."""

from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from generator.chest import make_chest
from generator.inject import healthy_target, synthesize
from generator.spec import SPECS

__all__ = ["draw_montage", "preview"]

SPACING = (0.8, 0.8, 1.0)
"""Grid on which the spec's lengths hold, mm (IV-B2)."""

HU_WINDOW = (-800.0, 100.0)
"""Window that is scaled to [0, 1], HU (IV-B2)."""

TAU = 1 / 3
"""Threshold of bright tissue on the scaled image: -500 HU (III-A)."""

DEPTH = 32
"""Slices of a training volume (IV-B2)."""

AFFINE_TOLERANCE = 1e-3
"""Largest difference between two affines of one grid, mm."""

SHOWN = 4
"""Slices in the montage."""

TITLES = ("healthy H", "with lesions A", "lesion mask G", "target (H >= tau) and not G")


def preview(
    out: str, *, seed: int = 0, spec: str = "paper", image: str | None = None, lungs: str | None = None
) -> None:
    """Writes a montage of synthetic lesions in a healthy chest: your own NIfTI, or else a generated one.

    Args:
        out: the picture to write, for example montage.png.
        seed: of the lesions, and of the generated chest.
        spec: a name of `generator.SPECS`: paper, wide, fixed_shapes, fixed_probability_maps or fixed_salt_noise.
        image: a healthy chest CT in HU, NIfTI.
        lungs: its lung mask on the same grid, NIfTI.

    Raises:
        ValueError: an unknown spec, only one of image and lungs, a mask of another grid, or no lungs.
    """
    if spec not in SPECS:
        raise ValueError(f"spec: expected one of {', '.join(SPECS)}, got {spec!r}")
    thorax, lung = _thorax(*_read(image, lungs, seed))
    with_lesions, lesion = synthesize(
        thorax, lung, lung_fraction=1.0, rng=torch.Generator().manual_seed(seed), spec=SPECS[spec]
    )
    figure = draw_montage([thorax, with_lesions, lesion, healthy_target(thorax, lesion, TAU)])
    path = Path(str(out))
    beside = path.with_name(f".{path.name}")
    figure.savefig(beside, format=path.suffix[1:] or "png", dpi=110)
    beside.replace(path)


def _read(image: str | None, lungs: str | None, seed: int) -> tuple[nib.Nifti1Image, nib.Nifti1Image]:
    """Gives CT and lung mask in RAS."""
    if image is None and lungs is None:
        chest = make_chest(seed=seed)
        ct = nib.Nifti1Image(chest.ct, chest.affine)
        return ct, nib.Nifti1Image(chest.lungs.astype(np.uint8), chest.affine)
    if image is None or lungs is None:
        raise ValueError(f"expected both --image and --lungs, got --image {image} and --lungs {lungs}")
    ct, mask = (nib.as_closest_canonical(nib.load(path)) for path in (image, lungs))
    if len(ct.shape) != 3:
        raise ValueError(f"{image}: expected one 3D volume, got shape {ct.shape}")
    if ct.shape != mask.shape:
        raise ValueError(f"{lungs}: expected the shape {ct.shape} of {image}, got {mask.shape}")
    if not np.allclose(ct.affine, mask.affine, atol=AFFINE_TOLERANCE):
        raise ValueError(f"{lungs}: expected the affine of {image}, got another one")
    return ct, mask


def _thorax(ct: nib.Nifti1Image, lungs: nib.Nifti1Image) -> tuple[torch.Tensor, torch.Tensor]:
    """Gives H and M on the generator's grid: the slab of 32 slices round the largest slice of the lungs."""
    zooms = zip(ct.shape, ct.header.get_zooms(), SPACING, strict=True)
    size = [max(1, round(count * spacing / wanted)) for count, spacing, wanted in zooms]
    voxels = (np.ascontiguousarray(volume.get_fdata(dtype=np.float32)) for volume in (ct, lungs))
    hu, mask = (torch.from_numpy(array)[None, None] for array in voxels)
    lung = (F.interpolate((mask > 0).float(), size=size, mode="trilinear") > 0.5)[0, 0]
    if not lung.any():
        raise ValueError(f"lungs: expected some voxels above 0, got none in {tuple(mask.shape[2:])}")
    middle = int(lung.sum((0, 1)).argmax())
    first = max(0, min(middle - DEPTH // 2, lung.shape[2] - DEPTH))
    slab = slice(first, first + DEPTH)
    low, high = HU_WINDOW
    scaled = (F.interpolate(hu, size=size, mode="trilinear")[0, 0].clamp(low, high) - low) / (high - low)
    return (scaled * lung)[..., slab].contiguous(), lung[..., slab].contiguous()


def draw_montage(columns: list[torch.Tensor]) -> Figure:
    """Draws slices of volumes side by side, as radiologists look at them: the patient's right on the left.

    Args:
        columns: (X, Y, Z) in RAS, values in [0, 1], one volume for each of the four titles.

    Returns:
        One row a slice, the highest slice on top.
    """
    seen = columns[0] > 0
    x, y = (seen.any(2).any(axis).nonzero() for axis in (1, 0))
    window = slice(int(x[0]), int(x[-1]) + 1), slice(int(y[0]), int(y[-1]) + 1)
    depth = columns[0].shape[2]
    rows = sorted({int((row + 0.5) * depth / SHOWN) for row in range(SHOWN)}, reverse=True)
    across, down = (side.stop - side.start for side in window)
    figure = Figure(figsize=(3 * len(columns), (3 * down / across + 0.1) * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    for z, row in zip(rows, axes, strict=True):
        for title, volume, panel in zip(TITLES, columns, row, strict=True):
            pixels = volume[window][:, :, z].float().flip(0).T.cpu().numpy()
            panel.imshow(pixels, cmap="gray", vmin=0, vmax=1, origin="lower")
            panel.set_axis_off()
            if z == rows[0]:
                panel.set_title(title, fontsize=9)
    return figure
