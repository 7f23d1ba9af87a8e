"""Old fibrosis: reticulation and honeycombs, which the paper's networks call lesions (V). Beyond the paper."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from generator.gaussian import smooth, smoothing_matrix
from normnet.thorax import MODEL_SPACING

__all__ = ["PATCH_MM", "RandFibrosisd", "smooth_noise", "with_fibrosis"]

PATCH_MM = 12.0
"""Standard deviation of the noise that says where fibrosis lies: patches of some centimetres."""

CELL_SIGMAS = math.pi * math.sqrt(2)
"""Mean distance between zeros of smoothed white noise along a line, standard deviations of the Gaussian (Rice)."""


def with_fibrosis(
    image: torch.Tensor,
    lungs: torch.Tensor,
    *,
    cell_mm: float,
    wall_share: float,
    brightness: float,
    rng: torch.Generator,
    spacing: Sequence[float] = MODEL_SPACING,
) -> torch.Tensor:
    """Draws walls between cells of lung, in patches that make up half of the lungs; they fade out at the border.

    The walls lie where smoothed noise is near zero: sheets that branch and close round cells.

    Args:
        image: thorax area, (X, Y, Z) in [0, 1].
        lungs: (X, Y, Z) bool.
        cell_mm: mean distance between walls along a line, mm.
        wall_share: share of a patch in which walls are more than half as bright as in their middle, in (0, 1).
        brightness: of the middle of the walls, on the scaled image.
        rng: on the CPU.
        spacing: voxel size, mm.

    Returns:
        (X, Y, Z): the brighter of image and walls, in the lungs.
    """
    level = math.sqrt(2) * float(torch.erfinv(torch.tensor(wall_share)))
    cells = smooth_noise(image.shape, cell_mm / CELL_SIGMAS, rng=rng, spacing=spacing)
    patches = smooth_noise(image.shape, PATCH_MM, rng=rng, spacing=spacing).clamp(0, 1)
    walls = brightness * patches * torch.exp2(-((cells / level) ** 2))
    return torch.where(lungs, torch.maximum(image, walls.to(image)), image)


def smooth_noise(
    shape: Sequence[int], sigma_mm: float, *, rng: torch.Generator, spacing: Sequence[float]
) -> torch.Tensor:
    """Draws Gaussian noise of mean 0 and variance 1 as a Gaussian filter of `sigma_mm` leaves it: shape, float32."""
    matrices = []
    for length, mm in zip(shape, spacing, strict=True):
        sigma = sigma_mm / mm
        matrices.append(smoothing_matrix(slice(0, length), length, sigma, spacing=max(1.0, sigma))[0])
    noise = torch.randn(*(matrix.shape[1] for matrix in matrices), generator=rng)
    scales = [matrix.square().sum(dim=1, keepdim=True).sqrt() for matrix in matrices]
    return smooth(noise, [matrix / scale for matrix, scale in zip(matrices, scales, strict=True)])


class RandFibrosisd(RandomizableTransform, MapTransform):
    """Puts fibrosis into healthy lungs now and then; it stays healthy tissue.

    Args:
        keys: thorax area, (1, X, Y, Z) in [0, 1], on the model's grid.
        lungs_key: lung mask, (1, X, Y, Z).
        prob: how often there is any.
        cell_mm: least and most distance between walls, mm.
        wall_share: least and most share that walls make up.
        brightness: least and most of a wall, on the scaled image; 0.4 is -440 HU, 0.9 is 10 HU.
        spacing: voxel size of the model's grid, mm.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        lungs_key: str = "lungs",
        prob: float = 0.3,
        cell_mm: tuple[float, float] = (4.0, 10.0),
        wall_share: tuple[float, float] = (0.15, 0.5),
        brightness: tuple[float, float] = (0.4, 0.9),
        spacing: Sequence[float] = MODEL_SPACING,
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.lungs_key, self.spacing = lungs_key, tuple(spacing)
        self.bounds = {"cell_mm": cell_mm, "wall_share": wall_share, "brightness": brightness}
        self.drawn: dict[str, float] = {}
        self.seed = 0

    def randomize(self, data: None = None) -> None:
        """Draws whether there is fibrosis, what it is like, and the seed of its walls; nothing else is drawn here."""
        super().randomize(data)
        if self._do_transform:
            self.drawn = {name: float(self.R.uniform(*bounds)) for name, bounds in self.bounds.items()}
            self.seed = int(self.R.randint(2**31 - 1))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        self.randomize()
        if not self._do_transform:
            return data
        lungs = data[self.lungs_key][0] > 0
        for key in self.keys:
            rng = torch.Generator().manual_seed(self.seed)
            data[key] = with_fibrosis(data[key][0], lungs, **self.drawn, rng=rng, spacing=self.spacing)[None]
        return data
