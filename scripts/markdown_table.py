"""Tables of the pages that scripts write, in Markdown."""

from collections.abc import Iterable, Sequence

__all__ = ["table"]


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Writes a Markdown table, one line for each row."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
