"""A CT and its masks at another voxel size, as MONAI has them."""

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Spacingd

from normnet.ct_grid import ToCTGridd
from normnet.model_grid import ToModelGridd

OBLIQUE = np.array([[0.0, 2.0, 0.2, 5], [-1.5, 0, 0, 7], [0, -0.16, 2.5, -9], [0, 0, 0, 1]])


def test_another_voxel_size_is_the_grid_and_the_values_of_monai() -> None:
    ct = MetaTensor(torch.rand(1, 11, 13, 9), affine=torch.from_numpy(OBLIQUE))
    mask = MetaTensor((ct.as_tensor() > 0.5).to(torch.uint8), affine=ct.affine)
    item = {"image": ct, "mask": mask}
    ours = ToModelGridd("mask", spacing=(0.8, 0.9, 1.1))(item)
    theirs = Spacingd(["image", "mask"], pixdim=(0.8, 0.9, 1.1), mode=["bilinear", "nearest"])(item)
    for key in item:
        np.testing.assert_allclose(ours[key].affine, theirs[key].affine, atol=1e-9)
        assert ours[key].shape == theirs[key].shape and ours[key].is_contiguous()
    np.testing.assert_allclose(ours["image"], theirs["image"], atol=1e-5)
    assert ours["mask"].dtype == torch.uint8
    assert torch.equal(ours["mask"].as_tensor(), theirs["mask"].to(torch.uint8).as_tensor())


def test_axes_that_lean_by_a_hair_lose_no_slice() -> None:
    leaning = np.float32(OBLIQUE).astype(float)  # as a NIfTI header has it
    leaning[0, 0] += 0.005
    ct = MetaTensor(torch.rand(1, 9, 9, 9), affine=torch.from_numpy(leaning))
    mask = MetaTensor(torch.ones(1, 9, 9, 9), affine=ct.affine)
    there = ToModelGridd("mask", spacing=(0.8, 0.8, 1.0))({"image": ct, "mask": mask})
    np.testing.assert_array_equal(there["image"].affine[:3, 3], leaning[:3, 3])
    assert ToCTGridd("mask", ct_key="ct")({**there, "ct": ct})["mask"].all()


def test_slices_of_half_a_millimetre_lose_none() -> None:
    ct = MetaTensor(torch.rand(1, 9, 9, 8), affine=torch.diag(torch.tensor([0.8, 0.8, 0.5, 1.0])).double())
    mask = MetaTensor(torch.ones(1, 9, 9, 8), affine=ct.affine)
    there = ToModelGridd("mask", spacing=(0.8, 0.8, 1.0))({"image": ct, "mask": mask})
    assert there["image"].shape == (1, 9, 9, 4)  # as MONAI's
    assert ToCTGridd("mask", ct_key="ct")({**there, "ct": ct})["mask"].all()
