"""What validation counts."""

import torch

from normnet.validation import BrightLesiond, ShareKeptOut


def test_share_kept_out_pools_the_voxels_of_all_samples() -> None:
    metric = ShareKeptOut()
    metric(y_pred=[torch.tensor([[0.2, 0.96, 0.95]])], y=[torch.tensor([[1, 1, 1]])])
    metric(y_pred=[torch.tensor([[0.99, 0.99, 0.0]])], y=[torch.tensor([[1, 0, 0]])])
    assert float(metric.aggregate()) == 0.5  # 0.2 and 0.95 of four


def test_only_bright_lesion_voxels_count() -> None:
    sample = {"lesion": torch.tensor([[1, 1, 0]]), "image": torch.tensor([[0.2, 0.9, 0.9]])}
    assert BrightLesiond()(sample)["bright_lesion"].tolist() == [[False, True, False]]
    assert BrightLesiond(tau=0.2)(sample)["bright_lesion"].tolist() == [[True, True, False]]
