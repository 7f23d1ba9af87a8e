"""Slices keep their place; draws show lung; VAE Original sees what lies outside the lungs."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from generator.chest import make_chest
from normnet import bundle_root
from normnet.baselines.slices import Frame, RandLungSlicesd, healthy_slice_transforms
from normnet.lung_density import InflateLungsd

COARSE = (3.6, 3.6, 5.0)


@pytest.mark.parametrize("shape", [(90, 71), (130, 128)], ids=["smaller than the frame", "larger"])
def test_a_volume_comes_back_from_its_slices_in_place(shape: tuple[int, int]) -> None:
    frame = Frame(width_mm=102.4, image_size=128, spacing=(0.8, 0.8, 1.0))
    volume = torch.zeros(1, *shape, 3)
    volume[0, 40:60, 30:42, 1] = 1.0
    slices = frame.slices(volume)
    assert slices.shape == (3, 1, 128, 128)
    back = frame.volume(slices, shape)
    assert back.shape == volume.shape
    assert torch.allclose(back, volume, atol=1e-5)


def test_coarser_pixels_keep_the_mean() -> None:
    frame = Frame(width_mm=51.2, image_size=16, spacing=(0.8, 0.8, 1.0))
    volume = torch.rand(1, 64, 64, 2, generator=torch.Generator().manual_seed(0))
    assert frame.slices(volume).mean() == pytest.approx(float(volume.mean()), abs=0.01)


def test_drawn_slices_show_lung_and_follow_the_state() -> None:
    frame = Frame(width_mm=16.0, image_size=16, spacing=(1.0, 1.0, 1.0))
    image = torch.arange(10.0).expand(1, 16, 16, 10)
    lungs = torch.zeros(1, 16, 16, 10, dtype=torch.uint8)
    lungs[..., 4:8] = 1
    draw = RandLungSlicesd(frame, count=3)

    def shown(seed: int) -> list[int]:
        draw.set_random_state(seed=seed)
        return [round(float(item["image"].mean())) for item in draw({"image": image, "lungs": lungs})]

    assert len(set(shown(0))) == 3
    assert set(shown(0)) <= {4, 5, 6, 7}
    assert shown(0) == shown(0)
    assert {tuple(shown(seed)) for seed in range(5)} != {tuple(shown(0))}


def test_the_raw_ct_shows_tissue_outside_the_lungs(tmp_path: Path) -> None:
    chest = make_chest(0, shape=(96, 84, 48), spacing=COARSE)
    path = tmp_path / "chest.nii.gz"
    nib.save(nib.Nifti1Image(np.rint(chest.ct).astype(np.int16), chest.affine), path)
    item = {"image": str(path)}
    raw, lung_only = (
        healthy_slice_transforms(masked=masked, spacing=COARSE)(item) for masked in (False, True)
    )
    outside = [volume["image"][volume["lungs"] == 0] for volume in (raw, lung_only)]
    assert float(outside[0].max()) == 1.0
    assert not outside[1].any()


@pytest.mark.parametrize("masked", [True, False], ids=["lungs", "raw"])
@pytest.mark.parametrize("name", ["healthy_preprocessing", "segment::preprocessing"])
def test_no_method_gets_the_correction_of_breath_unless_asked(name: str, masked: bool) -> None:
    for setting, full_hu in (({}, 0), ({"full_lung_hu": -850.0}, -850.0)):
        parser = ConfigParser()
        parser.read_config(f"{bundle_root()}/configs/baseline.json")
        parser.update({"masked": masked, **setting})
        steps = parser.get_parsed_content(name).flatten().transforms
        assert [step.full_hu for step in steps if isinstance(step, InflateLungsd)] == [full_hu]
