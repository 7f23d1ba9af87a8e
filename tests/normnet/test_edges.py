"""Erroneous edges (III-B): bright areas on the rim of the lung mask go, vessels inside stay."""

import numpy as np
import torch
from monai.data import MetaTensor

from normnet.edges import RemoveErroneousEdgesd, erroneous_edges, mostly_on_edge


def lungs_with_rim_and_vessel() -> tuple[np.ndarray, np.ndarray]:
    lungs = np.zeros((20, 20, 20), dtype=bool)
    lungs[2:18, 2:18, 2:18] = True
    thorax = np.zeros(lungs.shape, dtype=np.float32)
    thorax[2, 5:15, 5:15] = 0.9  # a rim of chest wall, one voxel thick
    thorax[6:14, 10, 10] = 0.9  # a vessel in the middle
    return thorax, lungs


def test_a_rim_is_erroneous_and_a_vessel_is_not() -> None:
    thorax, lungs = lungs_with_rim_and_vessel()
    edges = erroneous_edges(thorax, lungs)
    assert edges[2, 5:15, 5:15].all()
    assert edges.sum() == 100


def test_an_area_with_exactly_half_of_its_voxels_on_the_edge_stays() -> None:
    lungs = np.zeros((20, 20, 20), dtype=bool)
    lungs[2:18, 2:18, 2:18] = True
    thorax = np.zeros(lungs.shape, dtype=np.float32)
    thorax[2:6, 10, 10] = 0.9  # two voxels on the edge, two inside
    assert not erroneous_edges(thorax, lungs).any()
    thorax[5, 10, 10] = 0.0  # two of three
    assert erroneous_edges(thorax, lungs).sum() == 3


def test_tissue_below_tau_is_no_edge() -> None:
    thorax, lungs = lungs_with_rim_and_vessel()
    assert not erroneous_edges(thorax * 0.3, lungs).any()
    assert erroneous_edges(thorax * 0.3, lungs, tau=0.2).sum() == 100


def test_areas_are_judged_one_by_one_wherever_they_lie() -> None:
    lungs = np.zeros((20, 20, 20), dtype=bool)
    lungs[2:18, 2:18, 2:18] = True
    areas = np.zeros(lungs.shape, dtype=bool)
    areas[8:12, 2:5, 8:12] = True  # three voxels deep at the edge
    areas[8:12, 8:12, 8:12] = True  # inside
    assert not mostly_on_edge(areas, lungs, depth=1).any()
    on_edge = mostly_on_edge(areas, lungs, depth=2)
    assert on_edge[8:12, 2:5, 8:12].all()
    assert not on_edge[8:12, 8:12].any()
    assert not mostly_on_edge(np.zeros_like(areas), lungs).any()


def test_where_the_field_cuts_a_lung_off_is_no_edge() -> None:
    lungs = np.zeros((20, 20, 5), dtype=bool)
    lungs[2:18, 2:18] = True
    areas = np.zeros(lungs.shape, dtype=bool)
    areas[8:12, 8:12] = True
    assert not mostly_on_edge(areas, lungs, depth=2).any()


def test_the_transform_takes_edges_out_of_mask_and_image() -> None:
    thorax, lungs = lungs_with_rim_and_vessel()
    data = {
        "image": MetaTensor(torch.tensor(thorax)[None]),
        "lungs": MetaTensor(torch.tensor(lungs)[None].byte()),
    }
    result = RemoveErroneousEdgesd(keys="image")(data)
    assert int(result["lungs"].sum()) == int(lungs.sum()) - 100
    assert float(result["image"][0, 2].max()) == 0.0
    assert float(result["image"][0, 6:14, 10, 10].min()) > 0.8
    assert float(data["image"][0, 2].max()) > 0.8  # the input is left as it was
