"""Colours by a picture's own profile: phones write Display P3, cameras Adobe RGB, printers CMYK; a video is sRGB."""

from __future__ import annotations

import io

from PIL import Image, ImageCms

__all__ = ["to_srgb"]

_SPACES = {"RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK"}
"""The colour space of a profile, by the mode of the pictures that it is for."""
_DAMAGED = "its colour profile is damaged: the colours are taken as they stand"


def to_srgb(image: Image.Image) -> tuple[Image.Image, str | None]:
    """The loaded picture in the colours of sRGB, as RGB or RGBA, and a remark where its profile cannot be read.

    Pictures without a profile, or with one of another colour space, such as grey ones, stay as they are.
    """
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in _SPACES:
        return image, None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        is_meant = source.profile.xcolor_space.strip() == _SPACES[image.mode]
        if not is_meant or "sRGB" in ImageCms.getProfileDescription(source):
            return image, None
        plain = image.convert("RGB") if image.mode == "RGBA" else image
        target = ImageCms.createProfile("sRGB")
        colours = ImageCms.profileToProfile(plain, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image, _DAMAGED
    if colours is None:
        return image, _DAMAGED
    if image.mode == "RGBA":
        colours.putalpha(image.getchannel("A"))
    return colours, None
