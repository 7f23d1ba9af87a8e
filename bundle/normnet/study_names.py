"""The name of each study, which is that of its results' folder."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

__all__ = ["unique_names"]

LONGEST_NAME = 200
"""Bytes of a study's name; a file system takes 255, and results are written beside their place under a longer name."""


def unique_names(places: Sequence[Sequence[str]]) -> list[str]:
    """Names each study after its case, and those of one case also after as many folders as tell them apart.

    A study's name hangs on the others as little as may be: results that lie there must not be taken for another's.
    What lies in one folder gets a number.

    Args:
        places: of each study its case and the folders it lies in, the nearest first.

    Returns:
        Names that are safe for a folder, in the order of `places`: case, then folders from the farthest on.
    """
    safe = [tuple(map(_safe, place)) for place in places]
    sharing = Counter(place[:length] for place in safe for length in range(1, len(place) + 1))
    alone = {place[0] for place in safe if sharing[place[:1]] == 1}
    unique: list[str] = []
    for place in safe:
        if place[0] in alone:
            unique.append(place[0])
            continue
        lengths = range(2, len(place))
        length = next((n for n in lengths if sharing[place[:n]] == sharing[place]), len(place))
        name = candidate = _safe("_".join([place[0], *reversed(place[1:length])]))
        number = 1
        while candidate in alone or candidate in unique:
            number += 1
            candidate = f"{name}_{number}"
        unique.append(candidate)
    return unique


def _safe(name: str) -> str:
    """Makes a name that a folder can have; the end of one that is too long gives way to its hash."""
    safe = re.sub(r"[^\w.-]", "_", name).lstrip(".") or "study"
    if len(safe.encode()) <= LONGEST_NAME:
        return safe
    digest = hashlib.sha256(safe.encode()).hexdigest()[:8]
    return f"{safe.encode()[: LONGEST_NAME - 9].decode(errors='ignore')}_{digest}"
