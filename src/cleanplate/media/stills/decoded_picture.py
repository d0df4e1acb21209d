"""A decoded still: its pixels, alpha, light and tags."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cleanplate.frame import AnyArray, Frame, Pixels, StoredLight
from cleanplate.media.orientation import make_upright
from cleanplate.media.stills.picture_tags import NO_TAGS, PictureTags
from cleanplate.media.stills.raw import WhiteBalance


@dataclass(frozen=True)
class Picture:
    """A decoded still.

    Attributes:
        pixels: uint8 or uint16 RGB, ``(height, width, 3)``, upright.
        alpha: ``(height, width)`` of the same type, straight; None if the file has none.
        icc_profile: The file's RGB profile; None without one, or for a profile of inks or greys, which does
            not describe RGB.
        light: Linear light of a file of floats; ``pixels`` are its sRGB code values, clipped. None for all
            others.
        tags: Other metadata of the file.
        white_balance: With which a camera RAW was developed; None for all others.
    """

    pixels: Pixels
    alpha: AnyArray | None
    icc_profile: bytes | None
    light: StoredLight | None = None
    tags: PictureTags = field(default_factory=PictureTags)
    white_balance: WhiteBalance | None = None

    def to_frame(self, **fields: Any) -> Frame:
        """Make a frame of the picture; ``fields`` are the frame's time, index and alpha."""
        return Frame(
            self.pixels,
            light=self.light,
            icc_profile=self.icc_profile,
            white_balance=self.white_balance,
            space=self.tags.space,
            pixel_aspect=self.tags.pixel_aspect,
            **fields,
        )


def upright(
    pixels: Pixels,
    alpha: AnyArray | None,
    orientation: int,
    profile: bytes | None,
    tags: PictureTags = NO_TAGS,
) -> Picture:
    """Make a picture of decoded pixels, turned upright; a profile of inks or greys is dropped."""
    return Picture(
        np.require(make_upright(pixels, orientation), requirements=["C", "W"]),
        None if alpha is None else np.require(make_upright(alpha, orientation), requirements=["C", "W"]),
        profile if profile and profile[16:20] == b"RGB " else None,
        tags=tags,
    )
