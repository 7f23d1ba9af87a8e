"""Tokens of the login server, once authentication is on.

Fault of MONAI Label 0.8.5 that is worked around here, and nowhere else: it names no algorithm when it checks a token,
which PyJWT 2 refuses, so that every token, however right, is a 401.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import jwt
from monailabel.endpoints.user import auth

__all__ = ["accept_tokens"]

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
"""Signatures by a key pair alone: the realm's key is public, so whoever has it could sign by it symmetrically."""


def accept_tokens() -> None:
    """Lets MONAI Label accept the tokens that the realm has signed."""
    auth.jwt = SimpleNamespace(decode=_decode)


def _decode(token: str, key: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return jwt.decode(token, key, algorithms=ALGORITHMS, options=dict(options))
