"""What the values of a mask stand for, in DICOM's codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.sr.coding import Code

from normnet.errors import InputError

__all__ = ["LESION", "LESIONS", "LUNG", "Segment", "segments_from"]

ALTERED = Code("49755003", "SCT", "Morphologically Abnormal Structure")
ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
LESIONS = Code("52988006", "SCT", "Lesion")
LUNG = Code("39607008", "SCT", "Lung")


@dataclass(frozen=True)
class Segment:
    """What a label value stands for.

    Attributes:
        name: shown in viewers.
        color: red, green and blue, 0 to 255.
        category: coded, of CID 7150.
        kind: coded, of CID 7151 and those under it.
    """

    name: str
    color: tuple[int, int, int]
    category: Code = ALTERED
    kind: Code = LESIONS


ENTRY = '{"name": ..., "idx": ..., "color": [r, g, b]}'
"""The form of what a client says of one value, for errors."""

LESION = "lesion"
KNOWN = (
    Segment(LESION, (255, 80, 0)),
    Segment("lungs", (0, 160, 220), ANATOMY, LUNG),
    Segment("left lung", (0, 160, 220), ANATOMY, Code("44029006", "SCT", "Left lung")),
    Segment("right lung", (0, 200, 140), ANATOMY, Code("3341006", "SCT", "Right lung")),
)
"""Names that the app gives; another name is, to DICOM, what the model calls that value."""


def segments_from(
    label_info: Sequence[Mapping[str, Any]] | None, labels: Mapping[str, int]
) -> dict[int, Segment]:
    """Tells what each value of a mask stands for.

    Args:
        label_info: what a client says: {"name": ..., "idx": value (else its place from 1), "color": [r, g, b]};
            where it says nothing, the model does.
        labels: of the model, {"lesion": 1}.

    Raises:
        InputError: when a client's entry is not of that form.
    """
    names = {value: name for name, value in labels.items()}
    wanted = label_info or [{"name": name, "idx": value} for name, value in labels.items()]
    known = {segment.name: segment for segment in KNOWN}
    segments = {}
    if not isinstance(wanted, Sequence):
        raise InputError(f"label_info: expected a list of {ENTRY}, got {wanted!r}.")
    for place, entry in enumerate(wanted, start=1):
        try:
            name = str(entry.get("name") or LESION)
            value = int(entry.get("idx", place))
            usual = known.get(name.lower(), known.get(names.get(value, LESION), known[LESION]))
            red, green, blue = (
                min(max(int(part), 0), 255) for part in (entry.get("color") or usual.color)[:3]
            )
            segments[value] = Segment(name, (red, green, blue), usual.category, usual.kind)
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise InputError(f"label_info: expected {ENTRY}, got {entry!r}.") from error
    return segments
