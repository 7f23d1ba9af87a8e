"""The U-Net on blocks of voxels."""

import torch

from normnet.network import SubpixelUNet


def test_blocks_come_back_where_they_were() -> None:
    network = SubpixelUNet()
    network.unet = torch.nn.Identity()
    image = torch.arange(2 * 4 * 6 * 8, dtype=torch.float32).reshape(2, 1, 4, 6, 8)
    assert torch.equal(network(image), image)


def test_the_eight_channels_are_the_voxels_of_a_block() -> None:
    network = SubpixelUNet()
    seen = []
    network.unet = torch.nn.Identity()
    network.unet.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    image = torch.arange(4 * 2 * 2, dtype=torch.float32).reshape(1, 1, 4, 2, 2)
    network(image)
    assert seen[0].shape == (1, 8, 2, 1, 1)
    assert seen[0][0, :, 0, 0, 0].tolist() == list(range(8))
    assert seen[0][0, :, 1, 0, 0].tolist() == list(range(8, 16))
