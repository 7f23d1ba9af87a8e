"""How the networks are run: in reduced precision where the processor has it, and window by window over a whole CT."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.inferers import Inferer, SimpleInferer
from monai.utils import convert_to_dst_type
from tqdm import tqdm

from normnet.ensemble import Ensemble
from normnet.folding import folded
from normnet.windows import ALIGNMENT, lung_windows

__all__ = ["EnsembleInferer", "ReducedPrecisionInferer", "has_reduced_precision", "run_reduced"]


def has_reduced_precision(device: torch.device) -> bool:
    """Tells whether bfloat16 is quicker than float32 on the device: on a CPU only with matrix tiles (AMX).

    With AVX-512's bfloat16 instructions alone it was measured slower (a 3072 x 3072 product: 86 against 158 GFLOP/s of
    one core), and it moves votes; where it is only emulated, four times slower.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


def run_reduced(network: Callable[..., torch.Tensor], image: torch.Tensor, *, reduced: bool) -> torch.Tensor:
    """Runs a network under bfloat16 autocast, or plainly; the result is float32 either way."""
    image = image.contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast(image.device.type, dtype=torch.bfloat16, enabled=reduced):
        return network(image).float()


class ReducedPrecisionInferer(SimpleInferer):
    """Runs the network as it is, in bfloat16 where the device has it; used in training.

    Args:
        reduced: None asks the device.
    """

    def __init__(self, reduced: bool | None = None) -> None:
        super().__init__()
        self.reduced = reduced

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        reduced = has_reduced_precision(inputs.device) if self.reduced is None else self.reduced
        return run_reduced(network, inputs, reduced=reduced)


class EnsembleInferer(Inferer):
    """Asks every member about the lungs, window by window (`normnet.windows`), on a folded copy of the network.

    Takes the thorax area (B, 1, X, Y, Z) in [0, 1], 0 outside the lungs, and the `Ensemble`; gives float16
    (B, members, X, Y, Z), 0 where no window keeps its result, far from any lung.

    Each window sees a halo beyond what is kept of it. At 32 voxels the votes are those of the whole volume in one run,
    so nothing has to be blended; at 16, one bright voxel in a thousand differs.

    Raises:
        ValueError: there is no lung.

    Args:
        roi_size: most voxels kept of one window: bounds the memory.
        halo: rim that a window sees beyond what is kept of it, voxels.
        reduced: bfloat16; None asks the device.
        progress: whether a bar shows the windows.
    """

    def __init__(
        self,
        roi_size: Sequence[int] = (320, 320, 160),
        halo: int = 32,
        reduced: bool | None = None,
        progress: bool = False,
    ) -> None:
        super().__init__()
        self.roi_size, self.halo, self.reduced, self.progress = tuple(roi_size), halo, reduced, progress

    @torch.no_grad()
    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        reduced = has_reduced_precision(inputs.device) if self.reduced is None else self.reduced
        if isinstance(network, Ensemble):
            network = folded(network)
        volumes = inputs.as_subclass(torch.Tensor)
        probability = [self._run(volume, network, reduced) for volume in volumes]
        return convert_to_dst_type(torch.stack(probability), inputs, dtype=torch.float16)[0]

    def _run(self, volume: torch.Tensor, network: Callable[..., Any], reduced: bool) -> torch.Tensor:
        """(1, X, Y, Z) -> (members, X, Y, Z) float16."""
        shape = volume.shape[1:]
        windows = lung_windows(volume[0] > 0, self.roi_size, self.halo)
        fill = [part for length in reversed(shape) for part in (0, -length % ALIGNMENT)]
        padded = torch.nn.functional.pad(volume, fill)
        if not windows:
            raise ValueError(f"expected a thorax area with lung in it, got {tuple(volume.shape)} of zeros")
        probability = torch.empty(0)
        for window in tqdm(windows, desc="Windows", leave=False, disable=not self.progress):
            result = run_reduced(network, padded[:, *window.seen][None], reduced=reduced)[0]
            if not len(probability):
                probability = result.new_zeros((len(result), *padded.shape[1:]), dtype=torch.float16)
            probability[:, *window.kept] = result[:, *window.kept_of_seen]
        return probability[:, : shape[0], : shape[1], : shape[2]]
