"""The loss counts bright voxels and no others."""

import torch

from normnet.bright_loss import BrightBatch, BrightDiceCELoss
from normnet.intensity import TAU


def test_the_batch_says_which_voxels_are_bright() -> None:
    batch = {
        "image": torch.tensor([0.0, TAU - 0.01, TAU, 1.0]).reshape(1, 1, 4, 1, 1),
        "label": torch.tensor([0, 0, 1, 0]).reshape(1, 1, 4, 1, 1),
    }
    image, target = BrightBatch()(batch)
    assert torch.equal(image, batch["image"])
    assert target[0, 0].flatten().tolist() == [0, 0, 1, 0]
    assert target[0, 1].flatten().tolist() == [0, 0, 1, 1]


def test_dark_voxels_have_no_gradient_and_bright_ones_have() -> None:
    logits = torch.zeros(1, 1, 4, 1, 1, requires_grad=True)
    target = torch.tensor([[0, 0, 1, 0], [0, 0, 1, 1]]).reshape(1, 2, 4, 1, 1)
    BrightDiceCELoss()(logits, target).backward()
    gradient = logits.grad.flatten().tolist()
    assert gradient[:2] == [0, 0]
    assert gradient[2] < 0 < gradient[3]  # more healthy, less healthy


def test_whatever_is_said_of_dark_voxels_the_loss_is_the_same() -> None:
    target = torch.tensor([[0, 1], [0, 1]]).reshape(1, 2, 2, 1, 1)
    loss = BrightDiceCELoss()
    dark_yes, dark_no = (torch.tensor([dark, 3.0]).reshape(1, 1, 2, 1, 1) for dark in (9.0, -9.0))
    assert torch.equal(loss(dark_yes, target), loss(dark_no, target))


def test_a_right_answer_costs_little_and_a_wrong_one_much() -> None:
    target = torch.tensor([[1, 0], [1, 1]]).reshape(1, 2, 2, 1, 1)
    right, wrong = (torch.tensor([x, -x]).reshape(1, 1, 2, 1, 1) for x in (12.0, -12.0))
    assert BrightDiceCELoss()(right, target) < 0.01
    assert BrightDiceCELoss()(wrong, target) > 5
