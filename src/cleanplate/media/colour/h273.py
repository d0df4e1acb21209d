"""Colour tags: range, matrix, primaries and transfer, as ITU-T H.273 numbers them.

The tables have the names of the tags and the defaults for untagged streams; pixels are converted elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

UNSPECIFIED = "unspecified"

RANGES = {0: UNSPECIFIED, 1: "limited", 2: "full"}
MATRICES = {
    0: "rgb",
    1: "bt709",
    2: UNSPECIFIED,
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    11: "smpte2085",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
}
PRIMARIES = {
    1: "bt709",
    2: UNSPECIFIED,
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
TRANSFERS = {
    1: "bt709",
    2: UNSPECIFIED,
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}

LUMA_WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
}
"""The share of red and of blue in luma for the supported matrices; the rest is green's."""


def code_of(names: dict[int, str], name: str) -> int:
    """The H.273 code point of ``name`` in one of the tables above."""
    return next(code for code, known in names.items() if known == name)


@dataclass(frozen=True)
class Colour:
    """Colour tags of a stream, by the names that FFmpeg prints; ``"unspecified"`` where it has none."""

    range: str = UNSPECIFIED
    matrix: str = UNSPECIFIED
    primaries: str = UNSPECIFIED
    transfer: str = UNSPECIFIED

    @classmethod
    def from_codes(cls, range_: int, matrix: int, primaries: int, transfer: int) -> Colour:
        """From H.273 code points; a code that has no name counts as unspecified."""
        return cls(
            RANGES.get(range_, UNSPECIFIED),
            MATRICES.get(matrix, UNSPECIFIED),
            PRIMARIES.get(primaries, UNSPECIFIED),
            TRANSFERS.get(transfer, UNSPECIFIED),
        )

    def filled(self, other: Colour) -> Colour:
        """The tags, with the gaps filled from another set of them; the matrix of RGB in YUV is a gap too."""
        return Colour(
            other.range if self.range == UNSPECIFIED else self.range,
            other.matrix if self.matrix in (UNSPECIFIED, "rgb") else self.matrix,
            other.primaries if self.primaries == UNSPECIFIED else self.primaries,
            other.transfer if self.transfer == UNSPECIFIED else self.transfer,
        )

    def assumed(self, height: int, width: int) -> Colour:
        """The tags, with the gaps filled as players fill them.

        Limited range; BT.601 for standard definition (up to 576 lines and less than 1280 columns, either way
        up), BT.709 above. A matrix that swscale cannot compute (RGB's own, ICtCp) counts as a gap.
        """
        long, short = max(height, width), min(height, width)
        if long >= 1280 or short > 576:
            matrix = primaries = transfer = "bt709"
        else:
            # 576 lines are the European variant: same matrix, slightly different primaries.
            matrix = primaries = "bt470bg" if short == 576 else "smpte170m"
            transfer = "smpte170m"
        return replace(
            self,
            range="limited" if self.range == UNSPECIFIED else self.range,
            matrix=self.matrix if self.matrix in LUMA_WEIGHTS else matrix,
            primaries=primaries if self.primaries == UNSPECIFIED else self.primaries,
            transfer=transfer if self.transfer == UNSPECIFIED else self.transfer,
        )


_ALIKE_MATRICES = {"bt470bg": "smpte170m", "fcc": "smpte170m", "smpte240m": "bt709"}
"""The nearest matrix that every codec has; pixels are converted with it."""

_SAME_PRIMARIES = {"smpte240m": "smpte170m"}
_SAME_TRANSFERS = dict.fromkeys(("smpte170m", "bt2020-10", "bt2020-12", "iec61966-2-4", "bt1361e"), "bt709")
"""Other names of the same chromaticities, and of the same function between black and white (H.273)."""


@dataclass(frozen=True)
class ColourCodes:
    """Tags for which a codec's own header has codes; None: all of H.273's.

    For a missing code some encoders write 0, which readers interpret as RGB.
    """

    matrices: frozenset[str] | None = None
    primaries: frozenset[str] | None = None
    transfers: frozenset[str] | None = None

    def fit(self, colour: Colour) -> Colour:
        """Choose the tags to write for ``colour``, which has no gaps.

        Pixels have to be converted with their matrix. Primaries and transfer without a code
        become another name of the same ones, or ``"unspecified"``.
        """
        return replace(
            colour,
            matrix=_fit(colour.matrix, self.matrices, _ALIKE_MATRICES),
            primaries=_fit(colour.primaries, self.primaries, _SAME_PRIMARIES),
            transfer=_fit(colour.transfer, self.transfers, _SAME_TRANSFERS),
        )


def _fit(name: str, held: frozenset[str] | None, alike: dict[str, str]) -> str:
    if held is None or name in held:
        return name
    other = alike.get(name, UNSPECIFIED)
    return other if other in held else UNSPECIFIED
