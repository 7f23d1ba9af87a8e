"""Results return to the voxels of the CT that they came from."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, CopyItemsd, CropForegroundd, Orientationd, Spacingd

from normnet.ct_grid import ToCTGridd, as_in_file

OBLIQUE = np.array([[0.0, 2.0, 0.2, 5], [-1.5, 0, 0, 7], [0, -0.16, 2.5, -9], [0, 0, 0, 1]])


def test_a_mask_on_the_finer_grid_returns_as_it_was() -> None:
    mask = torch.zeros(1, 20, 24, 16)
    mask[0, 5:12, 6:20, 3:9] = 1
    mask[0, 8, 9, 5] = 0
    item = {"mask": MetaTensor(mask, affine=torch.from_numpy(OBLIQUE), meta={"original_affine": OBLIQUE})}
    there = Compose(
        [
            Orientationd("mask", axcodes="RAS", labels=None),
            CopyItemsd("mask", names="ct"),
            CropForegroundd("mask", source_key="mask", margin=2),
            Spacingd("mask", pixdim=(0.8, 0.8, 1.0), mode="nearest"),
        ]
    )
    fine = there(item)
    assert fine["mask"].shape[1] > 20
    back = ToCTGridd("mask")(fine)["mask"]
    in_file, affine = as_in_file(back[0].numpy(), fine["ct"])
    assert in_file.shape == (20, 24, 16)
    np.testing.assert_allclose(affine, OBLIQUE)
    assert (in_file != mask[0].numpy()).mean() < 0.01
    assert float(back.sum()) == pytest.approx(float(mask.sum()), rel=0.05)
