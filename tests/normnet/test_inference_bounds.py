"""How far the fast path may move the lesion mask from the plain one: shares of the lesion's voxels."""

from pathlib import Path

import pytest
import torch
from monai.transforms import Compose, CropForegroundd

from normnet import bundle_root
from normnet.checkpoints import load_weights
from normnet.ensemble import Ensemble
from normnet.inferers import EnsembleInferer
from normnet.lesions import segment_lesions
from normnet.reading import LoadCTd
from normnet.thorax import thorax_transforms
from normnet.vote import vote_healthy


@pytest.fixture(scope="module")
def chest(cohort: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Thorax area and lungs of a generated patient in their box, (1, X, Y, Z) each."""
    in_box = CropForegroundd(keys=["image", "lungs"], source_key="image", allow_smaller=True)
    steps = Compose([LoadCTd(keys="image"), *thorax_transforms(spacing=(2.4, 2.4, 3.0)), in_box])
    item = steps({"image": str(cohort / "diseased" / "covid_0.nii.gz")})
    image, lungs = (item[key].as_tensor() for key in ("image", "lungs"))
    return image, lungs > 0


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return load_weights(Ensemble(), Path(bundle_root()) / "models" / "model.pt").eval()


def plain_run(image: torch.Tensor, ensemble: Ensemble) -> torch.Tensor:
    """Each member's probability, (members, X, Y, Z), from one run over the whole volume from its own start on."""
    asked = []
    for lead, member in zip((0, 6, 12, 2, 8), ensemble.members, strict=True):
        fill = [part for length in reversed(image.shape[1:]) for part in (lead, -(length + lead) % 16)]
        within = [slice(lead, lead + length) for length in image.shape[1:]]
        asked.append(torch.sigmoid(member(torch.nn.functional.pad(image, fill)[None]))[0, 0][tuple(within)])
    return torch.stack(asked)


@pytest.mark.parametrize(("reduced", "bound"), [(False, 0.001), (True, 0.03)], ids=["float32", "bfloat16"])
def test_the_mask_is_that_of_one_plain_run_over_the_whole_volume(
    chest: tuple[torch.Tensor, torch.Tensor], ensemble: Ensemble, reduced: bool, bound: float
) -> None:
    image, lungs = chest
    with torch.no_grad():
        plain = plain_run(image, ensemble)
    fast = EnsembleInferer(reduced=reduced)(image[None], ensemble)[0]
    expected, found = (
        segment_lesions(image[0], lungs[0], vote_healthy(probability)) for probability in (plain, fast)
    )
    assert int(expected.sum()) > 1000
    assert int((expected ^ found).sum()) <= bound * int(expected.sum())


@pytest.mark.parametrize("shape", [(48, 48, 12), (48, 12, 48), (12, 48, 48)])
def test_a_thin_volume_is_the_same_in_bfloat16(shape: tuple[int, ...], ensemble: torch.nn.Module) -> None:
    image = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0))
    plain, fast = (EnsembleInferer(reduced=reduced)(image, ensemble) for reduced in (False, True))
    assert float((plain.float() - fast.float()).abs().mean()) < 0.02  # NaN is not
