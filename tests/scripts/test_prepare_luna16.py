"""The LUNA16 command on a folder of LUNA16's shape: subsets of .mhd/.raw and annotations.csv."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from normnet.errors import InputError
from normnet.studies import load_datalist
from scripts.prepare_luna16 import prepare_luna16

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "prepare_luna16.py"
HEADER = "seriesuid,coordX,coordY,coordZ,diameter_mm\n"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True)


def write_volume(path: Path, *, origin: tuple[float, float, float], direction: tuple[float, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(np.zeros((20, 8, 8), dtype=np.int16))
    image.SetOrigin(origin)
    image.SetSpacing((0.7, 0.7, 2.0))
    image.SetDirection(direction)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def luna16(tmp_path: Path) -> Path:
    root = tmp_path / "luna16"
    upright, flipped = (1, 0, 0, 0, 1, 0, 0, 0, 1), (-1, 0, 0, 0, -1, 0, 0, 0, -1)
    write_volume(root / "subset0" / "1.2.upright.mhd", origin=(0, 0, -100), direction=upright)
    write_volume(root / "subset0" / "1.2.flipped.mhd", origin=(0, 0, -100), direction=flipped)
    for index in range(8):
        write_volume(
            root / f"subset{index + 1}" / f"1.2.healthy{index}.mhd", origin=(0, 0, 0), direction=upright
        )
    (root / "annotations.csv").write_text(
        HEADER
        # z -90 is index 5; the ball spans 3.525 to 6.475, and slice 4 spans 3.5 to 4.5.
        + "1.2.upright,1,1,-90,5.9\n"
        # The third axis points down: index 10 at z -120.
        + "1.2.flipped,-1,-1,-120,1\n"
        # The last slice is 19; the ball sticks out of the volume.
        + "1.2.flipped,-1,-1,-138,3\n"
        + "1.2.of.another.subset,0,0,0,5\n"
    )
    return root


def slices_of(listing: Path) -> dict[str, list[int]]:
    content = json.loads(listing.read_text())
    return {
        Path(item["image"]).stem: item["exclude_slices"]
        for item in content["training"] + content["validation"]
    }


def test_slices_that_a_nodule_touches_are_left_out_in_the_order_of_the_file(luna16: Path):
    done = run(luna16, luna16 / "dataset.json")
    assert done.returncode == 0, done.stderr
    slices = slices_of(luna16 / "dataset.json")
    assert slices["1.2.upright"] == [4, 5, 6]
    assert slices["1.2.flipped"] == [10, 18, 19]
    assert slices["1.2.healthy0"] == []
    assert len(slices) == 10
    assert "1 annotated series have no volume" in done.stderr


def test_the_list_is_one_that_training_reads(luna16: Path):
    prepare_luna16(str(luna16), str(luna16 / "dataset.json"), validation=0.2)
    training, validation = (load_datalist(luna16, section) for section in ("training", "validation"))
    assert (len(training), len(validation)) == (8, 2)
    assert not {item["image"] for item in training} & {item["image"] for item in validation}


def test_paths_are_relative_to_a_list_above_the_volumes_and_absolute_elsewhere(luna16: Path, tmp_path: Path):
    prepare_luna16(str(luna16), str(luna16 / "dataset.json"))
    prepare_luna16(str(luna16), str(tmp_path / "lists" / "dataset.json"))
    inside = json.loads((luna16 / "dataset.json").read_text())["training"][0]["image"]
    outside = json.loads((tmp_path / "lists" / "dataset.json").read_text())["training"][0]["image"]
    assert inside.startswith("subset")
    assert Path(outside) == (luna16 / inside).resolve()


def test_the_seed_decides_the_split(luna16: Path, tmp_path: Path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2), ("d", 3)):
        prepare_luna16(str(luna16), str(tmp_path / f"{name}.json"), validation=0.3, seed=seed)
    lists = [(tmp_path / f"{name}.json").read_text() for name in "abcd"]
    assert lists[0] == lists[1]
    assert len(set(lists)) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "annotations.csv: expected LUNA16's table of nodules, but there is no such file"),
        ("a,b\n1,2\n", "expected the columns seriesuid, coordX"),
        (HEADER + "1.2.upright,1,one,-90,6\n", "line 2: expected four numbers"),
        (HEADER + "1.2.upright,1,1,-90,nan\n", "line 2: expected a place and a size"),
        (HEADER + "1.2.upright,1,1,-900,6\n", "upright.mhd: expected nodules in slices 0 to 19, got -400"),
    ],
)
def test_bad_annotations_are_named_and_no_list_is_written(luna16: Path, content: str | None, message: str):
    if content is None:
        (luna16 / "annotations.csv").unlink()
    else:
        (luna16 / "annotations.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        prepare_luna16(str(luna16), str(luna16 / "dataset.json"))
    assert not list(luna16.glob("*dataset.json*"))


def test_bad_input_ends_the_command_with_one_sentence(tmp_path: Path):
    done = run(tmp_path, tmp_path / "dataset.json")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"{tmp_path}: expected LUNA16" in done.stderr
