"""The lung round a nodule in a patch of a few centimetres."""

import numpy as np

from scripts.accuracy_nodules import lungs_in_patch
from scripts.nodules import by_class


def test_the_lung_of_a_patch_holds_its_vessels_and_nodule_but_no_chest_wall() -> None:
    hu = np.full((40, 40, 30), -850.0)
    hu[30:] = 40  # the chest wall
    hu[:, 10:14] = 40  # a vessel
    nodule = np.zeros(hu.shape, dtype=bool)
    nodule[24:32, 24:32, 10:20] = True  # grows into the wall
    hu[nodule] = 0
    lungs = lungs_in_patch(hu, nodule)
    assert lungs[:26].all() and lungs[nodule].all()
    assert not lungs[30:][~nodule[30:]].any()


def test_air_outside_the_lung_is_no_lung_where_there_is_little_of_it() -> None:
    hu = np.full((40, 40, 30), 40.0)
    hu[:8, :8, :8] = -900
    assert not lungs_in_patch(hu, np.zeros(hu.shape, dtype=bool)).any()


def test_nodules_are_grouped_by_size_and_density() -> None:
    groups = by_class([600, 1000, 9000], [-700, -299, -301])
    assert groups["500 to 1000 mm3"] == [True, False, False]
    assert groups["1000 to 4000 mm3"] == [False, True, False]
    assert groups["4000 mm3 and more"] == [False, False, True]
    assert groups["ground glass (mean below -300 HU)"] == [True, False, True]
    assert groups["solid"] == [False, True, False]
    assert groups["all"] == [True, True, True]
