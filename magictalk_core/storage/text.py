"""Bytes of a text file that somebody saved somewhere, as text."""

from __future__ import annotations

import codecs

__all__ = ["decoded"]

# That of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(raw: bytes) -> str:
    """UTF-8, or what a mark at the beginning says, or UTF-16 without one.

    Raises `UnicodeDecodeError` for anything else: which letters the bytes of a local code page are cannot be known.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return raw.decode(encoding)
    if b"\0" in raw:
        # Every second byte of ASCII in UTF-16 is zero.
        return raw.decode("utf-16-le" if raw[1::2].count(0) > raw[::2].count(0) else "utf-16-be")
    return raw.decode("utf-8")
