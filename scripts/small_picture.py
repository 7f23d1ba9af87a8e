"""Pictures small enough for a repository."""

from pathlib import Path

from PIL import Image

__all__ = ["shrink"]

LARGEST_PICTURE = 1_000_000
"""Of a picture in the repository, bytes."""


def shrink(picture: Path, target: Path) -> None:
    """Copies a PNG, scaled down until it is small enough for a repository."""
    target.parent.mkdir(parents=True, exist_ok=True)
    image = Image.open(picture).convert("RGB")
    image.save(target, optimize=True)
    while target.stat().st_size > LARGEST_PICTURE:
        image = image.resize((image.width * 9 // 10, image.height * 9 // 10), Image.Resampling.LANCZOS)
        image.save(target, optimize=True)
