"""JSON files that carry the hash of themselves, so that a flipped bit in them is seen by whoever reads them.

The last line of the object is its seal, the md5 of every byte before it: no reader has to know how the text was made.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["is_sealed_whole", "sealed"]

_SEALED = re.compile(rb'(?s)(\{.*?),\n "seal": "([0-9a-f]{32})"\n\}')


def sealed(text: str) -> str:
    """The text of a JSON object, in whatever layout, with its seal as the last key."""
    body = text.removesuffix("}").rstrip()
    if not text.endswith("}") or len(body) < 2:
        raise ValueError("expected the text of a JSON object with a key")
    return f'{body},\n "seal": "{hashlib.md5(body.encode()).hexdigest()}"\n}}'


def is_sealed_whole(content: bytes) -> bool:
    """Whether the bytes are those of `sealed`, every one of them."""
    found = _SEALED.fullmatch(content)
    return found is not None and hashlib.md5(found[1]).hexdigest() == found[2].decode()
