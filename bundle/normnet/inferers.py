"""How the networks are run: in training, and over a whole CT; in reduced precision where the processor has it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.inferers import Inferer, SimpleInferer, SlidingWindowInferer
from monai.utils import BlendMode, convert_to_dst_type

from normnet.ensemble import Ensemble
from normnet.errors import InputError
from normnet.folding import folded
from normnet.whole_thorax import probability_in_lungs, runs_whole

__all__ = ["EnsembleInferer", "ReducedPrecisionInferer", "has_reduced_precision"]


def has_reduced_precision(device: torch.device) -> bool:
    """Tells whether bfloat16 is quicker than float32 on the device: of CPUs, with matrix tiles (AMX) or AMD's AVX-512.

    A 3072 x 3072 product of one core of an AMD EPYC: 206 GFLOP/s against 95 in float32. With AVX-512's bfloat16 alone,
    an Intel Xeon was measured slower (86 against 158); where it is only emulated, four times slower.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpu = torch.cpu.get_capabilities()
    of_amd = cpu.get("avx512_bf16") and str(cpu.get("cpu_name")).startswith("AMD")
    return bool(cpu.get("amx_bf16") or of_amd)


class ReducedPrecisionInferer(SimpleInferer):
    """Runs the network as it is, in bfloat16 where the device has it, and gives float32; used in training.

    Args:
        reduced: None asks the device.
    """

    def __init__(self, reduced: bool | None = None) -> None:
        super().__init__()
        self.reduced = reduced

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        reduced = has_reduced_precision(inputs.device) if self.reduced is None else self.reduced
        inputs = inputs.contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(inputs.device.type, dtype=torch.bfloat16, enabled=reduced):
            return network(inputs).float()


class EnsembleInferer(Inferer):
    """Asks every member about the lungs, on a folded copy of the network (`normnet.folding`).

    Takes the thorax area (B, 1, X, Y, Z) in [0, 1], 0 outside the lungs, and a network that gives a channel a member;
    gives float16 (B, members, X, Y, Z). An `Ensemble` of U-Nets sees each thorax whole, each member from another start
    on (`normnet.whole_thorax`), and gives 0 far from the tissue it is asked about; any other network goes over it by
    MONAI's sliding windows.

    Raises:
        InputError: there is no lung, or no voxel of it lies above the window's lower end.

    Args:
        roi_size: of the windows, voxels, which the network's strides must divide.
        reduced: bfloat16; None asks the device.
        tau: tissue at or above it is asked about; 0 asks about all that is not 0.
        progress: whether a bar shows the members, or the windows.
    """

    def __init__(
        self,
        roi_size: Sequence[int] = (160, 160, 96),
        reduced: bool | None = None,
        tau: float = 0.0,
        progress: bool = False,
    ) -> None:
        super().__init__()
        self.reduced, self.tau, self.progress = reduced, tau, progress
        self.windows = SlidingWindowInferer(roi_size, mode=BlendMode.GAUSSIAN, progress=progress)

    @torch.no_grad()
    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        images = inputs.as_subclass(torch.Tensor)
        if not images.any():
            raise InputError(
                f"expected lungs that are not all darker than the window, got {tuple(images.shape)} voxels of 0."
            )
        reduced = has_reduced_precision(images.device) if self.reduced is None else self.reduced
        if isinstance(network, Ensemble):
            network = folded(network)
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=reduced):
            if runs_whole(network):
                probability = probability_in_lungs(images, network, tau=self.tau, progress=self.progress)
            else:
                probability = self.windows(images, network)  # type: ignore[assignment]
        return convert_to_dst_type(probability, inputs, dtype=torch.float16)[0]
