"""What may name an image, a label, a tag or a model."""

import re

__all__ = ["SAFE_NAME"]

SAFE_NAME = re.compile(r"(?!\.)[^/\\\x00-\x1f\x7f]{1,200}")
"""No path, nothing hidden, nothing unprintable."""
