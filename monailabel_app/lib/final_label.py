"""Which voxels of an annotator's label are lesion."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from monai.data import MetaTensor

from normnet.errors import InputError
from normnet.masks import check_label_values

from .segments import LESION, segments_from

__all__ = ["lesion_voxels"]


def lesion_voxels(
    label: MetaTensor, label_info: Sequence[Mapping[str, Any]] | None, *, name: str
) -> np.ndarray:
    """Finds the lesion in a label.

    Args:
        label: (1, X, Y, Z), the values of its file.
        label_info: what the client says that the values stand for: see `segments_from`; where it says nothing, all but
            0 is lesion.
        name: of the label, for errors.

    Returns:
        (X, Y, Z) uint8, 1 where the segments called "lesion" are, whatever the case; all 0 says that there is none.

    Raises:
        InputError: no segment is called so, or a value is no whole number or none of label_info.
    """
    values = label[0].numpy()
    check_label_values(values, name)
    if not label_info:
        return (values != 0).astype(np.uint8)
    segments = segments_from(label_info, {LESION: 1})
    lesions = [value for value, segment in segments.items() if value and segment.name.lower() == LESION]
    if not lesions:
        names = ", ".join(segment.name for segment in segments.values())
        raise InputError(f"{name}: expected a segment {LESION!r}, got {names}.")
    if strays := set(np.unique(values[values != 0]).tolist()) - segments.keys():
        raise InputError(
            f"{name}: expected the values {sorted(segments)} of label_info, got {sorted(strays)}."
        )
    return np.isin(values, lesions).astype(np.uint8)
