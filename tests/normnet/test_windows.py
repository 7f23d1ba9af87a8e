"""Windows hold all of the lungs, nothing twice, and what they see is theirs and a rim."""

import pytest
import torch

from normnet.windows import ALIGNMENT, Window, lung_windows


def two_lungs() -> torch.Tensor:
    lungs = torch.zeros(160, 60, 70, dtype=torch.bool)
    lungs[3:40, 10:50, 5:66] = True
    lungs[115:150, 10:50, 5:66] = True
    return lungs


def voxels(windows: list[Window], part: str) -> int:
    counts = torch.zeros(160, 64, 80, dtype=torch.int32)
    for window in windows:
        counts[getattr(window, part)] += 1
    return int(counts.sum())


def test_every_voxel_of_the_lungs_is_kept_once() -> None:
    counts = torch.zeros(160, 64, 80, dtype=torch.int32)
    for window in lung_windows(two_lungs(), (24, 24, 24), 16):
        counts[window.kept] += 1
    assert int(counts.max()) == 1
    assert bool((counts[:, :60, :70][two_lungs()] == 1).all())


def test_each_lung_has_a_window_of_its_own_where_that_saves() -> None:
    windows = lung_windows(two_lungs(), (160, 128, 128), 16)
    assert [window.kept[0] for window in windows] == [slice(0, 48), slice(112, 160)]
    assert [window.seen[0] for window in windows] == [slice(0, 64), slice(96, 160)]


def test_lungs_are_not_cut_where_halos_cost_more_than_the_gap() -> None:
    assert len(lung_windows(two_lungs(), (160, 128, 128), 32)) == 1


def test_no_window_keeps_more_than_the_largest() -> None:
    windows = lung_windows(two_lungs(), (24, 64, 32), 16)
    for window in windows:
        assert all(
            kept.stop - kept.start <= most for kept, most in zip(window.kept, (24, 64, 32), strict=True)
        )
        assert all(side.start % ALIGNMENT == side.stop % ALIGNMENT == 0 for side in window.seen)


def test_little_is_seen_outside_a_slanting_lung() -> None:
    lungs = torch.zeros(120, 60, 70, dtype=torch.bool)
    for z in range(70):
        lungs[z : z + 30, 20:40, z] = True
    whole_box = 112 * 32 * 80
    assert voxels(lung_windows(lungs, (128, 128, 128), 0), "seen") < 0.75 * whole_box


def test_no_lungs_no_windows() -> None:
    assert lung_windows(torch.zeros(16, 16, 16, dtype=torch.bool), (16, 16, 16), 8) == []


@pytest.mark.parametrize(("shape", "halo"), [((8, 8), 8), ((8, 8, 8), -1)])
def test_what_is_wrong_is_named(shape: tuple[int, ...], halo: int) -> None:
    with pytest.raises(ValueError, match="halo of at least 0"):
        lung_windows(torch.ones(shape, dtype=torch.bool), (16, 16, 16), halo)
