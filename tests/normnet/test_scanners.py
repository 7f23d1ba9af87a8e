"""What scanners.json varies before lesions are put in."""

import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose

from normnet import bundle_root


def scanner_variation(*overlays: str) -> Compose:
    parser = ConfigParser()
    parser.read_config([f"{bundle_root()}/configs/{name}.json" for name in ("train", *overlays)])
    return Compose([parser.get_parsed_content("scanner_variation")]).set_random_state(seed=0)


def test_the_image_changes_within_its_range_and_the_lungs_and_without_the_overlay_not_at_all() -> None:
    lungs = torch.zeros(1, 32, 32, 32)
    lungs[:, 4:28, 4:28, 4:28] = 1
    image = 0.1 * lungs
    image[:, 10:14, 10:14, 4:28] = 0.9  # a vessel
    slab = {"image": image, "lungs": lungs}
    vary = scanner_variation("scanners")
    changed = [vary(dict(slab)) for _ in range(20)]
    assert sum(not torch.equal(item["image"], image) for item in changed) > 15
    for item in changed:
        assert item["image"].min() >= 0 and item["image"].max() <= 1
        assert not item["image"][item["lungs"] == 0].any()
    assert torch.equal(scanner_variation()(dict(slab))["image"], image)
