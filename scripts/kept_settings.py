"""What the results of a folder depend on, kept beside them: results of other settings are not taken for these."""

import json
from collections.abc import Mapping
from pathlib import Path

from normnet.errors import InputError
from normnet.whole_file import written_whole

__all__ = ["keep_settings"]


def keep_settings(out: Path, settings: Mapping[str, object], *results: str) -> None:
    """Writes OUT/settings.json, before the first result.

    Args:
        out: the folder; it is made.
        settings: by name; a path as its text.
        results: patterns of what shows that there are results in a folder without settings.json.

    Raises:
        InputError: there are results of other settings.
    """
    record = out / "settings.json"
    asked = json.loads(json.dumps(settings, default=str))
    kept = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    there = record.is_file() or any(any(out.glob(pattern)) for pattern in results)
    other = [name for name in asked if name not in kept or kept[name] != asked[name]]
    if there and other:
        raise InputError(
            f"{out}: expected results of these settings, found some of another {', '.join(other)}; "
            "give another OUTPUT_DIR."
        )
    out.mkdir(parents=True, exist_ok=True)
    with written_whole(record) as beside:
        beside.write_text(json.dumps(asked, indent=2), encoding="utf-8")
