"""How the networks are run: in reduced precision where the processor has it, and window by window over a whole CT."""

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import SimpleInferer, SlidingWindowInferer

__all__ = ["EnsembleInferer", "ReducedPrecisionInferer", "has_reduced_precision", "run_reduced"]


def has_reduced_precision(device: torch.device) -> bool:
    """Tells whether bfloat16 is quicker than float32 on the device: not where it is only emulated."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    processor = torch.cpu.get_capabilities()
    return bool(processor.get("avx512_bf16") or processor.get("amx_bf16"))


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


class EnsembleInferer(SlidingWindowInferer):
    """Blends each member's healthy probability over windows; windows without lung are not computed.

    Takes the thorax area (B, 1, X, Y, Z) in [0, 1] and the `Ensemble`; gives (B, members, X, Y, Z).

    Args:
        roi_size: window, voxels.
        sw_batch_size: windows at a time.
        overlap: share of a window that its neighbour computes again.
        mode: blending, "gaussian" or "constant".
        reduced: bfloat16; None asks the device.
        progress: whether a bar shows the windows.
    """

    def __init__(
        self,
        roi_size: tuple[int, int, int] = (128, 128, 32),
        sw_batch_size: int = 1,
        overlap: float = 0.25,
        mode: str = "gaussian",
        reduced: bool | None = None,
        progress: bool = False,
    ) -> None:
        super().__init__(
            roi_size=roi_size, sw_batch_size=sw_batch_size, overlap=overlap, mode=mode, progress=progress
        )
        self.reduced = reduced

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        reduced = has_reduced_precision(inputs.device) if self.reduced is None else self.reduced

        channels = 0

        def run_windows(windows: torch.Tensor) -> torch.Tensor:
            nonlocal channels
            if channels and not windows.any():
                return windows.new_zeros((len(windows), channels, *windows.shape[2:]))
            probability = run_reduced(network, windows, reduced=reduced)
            channels = probability.shape[1]
            return probability

        with torch.no_grad():
            return super().__call__(inputs, run_windows)
