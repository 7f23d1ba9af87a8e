"""Dense lesions stay inside the lungs, whose mask stays right."""

import numpy as np

from scripts.dense_lesions import with_dense_lesions


def test_dense_lesions_fill_lung_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    ct = np.full((80, 60, 60), 40, np.float32)
    lungs = np.zeros(ct.shape, bool)
    lungs[6:34, 6:54, 6:54] = lungs[46:74, 6:54, 6:54] = True
    ct[lungs] = -870 + 20 * rng.standard_normal(int(lungs.sum()), dtype=np.float32)
    changed = with_dense_lesions(ct, lungs, np.diag([3.0, 3.0, 3.0, 1.0]), seed=1)
    assert np.array_equal(changed, with_dense_lesions(ct, lungs, np.diag([3.0, 3.0, 3.0, 1.0]), seed=1))
    dense = changed > -200
    assert 0.005 < dense[lungs].mean() < 0.9
    assert np.abs(changed - ct)[~lungs].max() < 30  # soft tissue beside a lesion stays soft tissue
