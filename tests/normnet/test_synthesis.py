"""The MONAI transform around the generator: keys, target, and one result for any number of workers."""

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import CacheDataset, DataLoader, Dataset, MetaTensor, PersistentDataset, ThreadDataLoader
from monai.transforms import Compose, RandFlipd
from torch.utils.data import Dataset as TorchDataset

from generator import SynthesisSpec
from normnet.errors import InputError
from normnet.intensity import TAU
from normnet.synthesis import RandSynthesizeLesionsd

SMALL_LESIONS = {"medium_radius": [4, 8], "large_radius": [8, 10]}


def chest(number: int) -> dict[str, torch.Tensor]:
    noise = torch.rand(1, 40, 40, 24, generator=torch.Generator().manual_seed(number)) * 0.2
    lungs = torch.zeros(1, 40, 40, 24, dtype=torch.uint8)
    lungs[:, 4:36, 4:36, 2:22] = 1
    noise[:, 18:22, 18:22] = 0.9
    return {"image": noise * lungs, "lungs": lungs}


def test_writes_image_lesion_and_target() -> None:
    data = chest(0)
    result = RandSynthesizeLesionsd(spec=SMALL_LESIONS)(data)
    lesion = result["lesion"] > 0
    assert lesion.any() and not (lesion & (data["lungs"] == 0)).any()
    assert torch.equal(result["target"], ((data["image"] >= TAU) & ~lesion).byte())
    assert torch.equal(result["image"][~lesion], data["image"][~lesion])
    assert (result["image"][lesion] >= data["image"][lesion]).all()


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("papper", r"synthesis: expected one of .*paper.*, got 'papper'\."),
        (["paper"], r"synthesis: expected one of .*, got \['paper'\]\."),
        ({"small_count": 5}, r"synthesis: small_count: expected a finite pair 0 <= low <= high, got 5\."),
        ({"small_radius": [9, 2]}, r"synthesis: small_radius: expected a finite pair .*, got \[9, 2\]\."),
        (
            {"smal_count": [5, 9]},
            r"synthesis: expected constants out of small_count, small_radius, .*, got 'smal_count'\.",
        ),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(spec: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=f"^{sentence}$"):
        RandSynthesizeLesionsd(spec=spec)


def test_keeps_the_affine() -> None:
    affine = torch.diag(torch.tensor([0.8, 0.8, 1.0, 1.0], dtype=torch.float64))
    data = {key: MetaTensor(value, affine=affine) for key, value in chest(0).items()}
    result = RandSynthesizeLesionsd(spec=SMALL_LESIONS)(data)
    for key in ("image", "lesion", "target"):
        assert torch.equal(result[key].affine, affine)


def test_lambda_is_the_share_of_the_largest_lung() -> None:
    data = chest(0)
    own = int(data["lungs"].sum())
    many = sum(
        int(RandSynthesizeLesionsd(spec=SMALL_LESIONS, seed=s)(data)["lesion"].sum()) for s in range(8)
    )
    few = sum(
        int(RandSynthesizeLesionsd(spec=SMALL_LESIONS, seed=s, largest_lung=5 * own)(data)["lesion"].sum())
        for s in range(8)
    )
    assert few < many / 2


def test_a_case_gets_other_lesions_each_time_it_is_seen() -> None:
    transform = RandSynthesizeLesionsd(spec=SMALL_LESIONS)
    first, second = transform(chest(0)), transform(chest(0))
    assert not torch.equal(first["lesion"], second["lesion"])
    again = RandSynthesizeLesionsd(spec=SMALL_LESIONS)
    assert torch.equal(again(chest(0))["image"], first["image"])
    assert torch.equal(again(chest(0))["image"], second["image"])


def epochs(dataset: TorchDataset, workers: int) -> list[torch.Tensor]:
    loader = DataLoader(dataset, batch_size=2, num_workers=workers)
    return [batch["image"] for _ in range(2) for batch in loader]


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_workers_gives_the_same_volumes(workers: int) -> None:
    cases = [chest(number) for number in range(6)]
    alone = epochs(Dataset(cases, Compose([RandSynthesizeLesionsd(spec=SMALL_LESIONS)])), workers=0)
    shared = epochs(Dataset(cases, Compose([RandSynthesizeLesionsd(spec=SMALL_LESIONS)])), workers=workers)
    assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))
    assert not torch.equal(alone[0], alone[3])  # the second epoch has other lesions


def test_works_in_cache_persistent_and_thread_loaders(tmp_path) -> None:
    cases = [chest(number) for number in range(2)]
    wanted = epochs(Dataset(cases, RandSynthesizeLesionsd(spec=SMALL_LESIONS)), workers=0)

    def chain() -> Compose:
        return Compose([RandSynthesizeLesionsd(spec=SMALL_LESIONS)])

    for dataset in (
        CacheDataset(cases, chain(), progress=False),
        PersistentDataset(cases, chain(), cache_dir=tmp_path),
    ):
        assert torch.equal(epochs(dataset, workers=0)[0], wanted[0])
    threads = ThreadDataLoader(Dataset(cases, chain()), batch_size=2, num_workers=0)
    assert torch.equal(next(iter(threads))["image"], wanted[0])


def test_without_a_seed_it_follows_set_random_state() -> None:
    def draw(seed: int) -> torch.Tensor:
        chain = Compose(
            [RandFlipd(keys=["image", "lungs"]), RandSynthesizeLesionsd(spec=SMALL_LESIONS, seed=None)]
        )
        return chain.set_random_state(seed=seed)(chest(0))["image"]

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_no_global_random_state_is_touched() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    RandSynthesizeLesionsd(spec=SMALL_LESIONS)(chest(0))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_empty_lungs_stay_as_they_are() -> None:
    data = chest(0)
    data["lungs"] = torch.zeros_like(data["lungs"])
    result = RandSynthesizeLesionsd()(data)
    assert torch.equal(result["image"], data["image"]) and not result["lesion"].any()


def test_an_unknown_spec_is_named() -> None:
    with pytest.raises(ValueError, match="fixed_shapes"):
        RandSynthesizeLesionsd(spec="papre")
    assert RandSynthesizeLesionsd(spec=SynthesisSpec(small_radius=(1, 2))).spec.small_radius == (1, 2)
