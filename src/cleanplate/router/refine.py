"""The user's choice of the cells to refine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from cleanplate.errors import OptionError

Mode = Literal["sampling", "threshold", "full", "off"]

_HINT = "use sampling:80000 (pixels), threshold:0.1 (error above 0.1), full or off"


@dataclass(frozen=True)
class Refine:
    """Rule that selects the cells for the refiner.

    Attributes:
        mode: ``sampling``: the cells of the highest error, as long as it is above 0; ``threshold``: those
            whose error is above ``value``; ``full``: all; ``off``: none, the coarse result is enlarged.
        value: Pixels per picture for ``sampling`` (16 per cell; more than the picture has is allowed), the
            error for ``threshold``, unused in the other modes.

    Raises:
        OptionError: An unknown mode or a value out of range.

    Examples:
        >>> Refine.parse("sampling:80000")
        Refine(mode='sampling', value=80000.0)
    """

    mode: Mode
    value: float = 0.0

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise OptionError(f"Unknown refine mode {self.mode!r}.", _HINT)
        if self.mode == "sampling" and not 0 <= self.value < float("inf"):
            raise OptionError(f"Expected a number of pixels to sample, got {self.value:g}.", _HINT)
        if self.mode == "threshold" and not 0 <= self.value <= 1:
            raise OptionError(f"Expected an error threshold in [0, 1], got {self.value:g}.", _HINT)

    @classmethod
    def parse(cls, text: str) -> Refine:
        """Parse ``mode`` or ``mode:value``; raises :class:`OptionError`."""
        mode, colon, number = text.partition(":")
        if mode not in get_args(Mode) or bool(colon) != (mode in ("sampling", "threshold")):
            raise OptionError(f"Cannot read {text!r} as a way to refine.", _HINT)
        if not colon:
            return cls(mode)  # type: ignore[arg-type]
        try:
            value = float(number)
        except ValueError:
            raise OptionError(f"Cannot read {text!r} as a way to refine.", _HINT) from None
        return cls(mode, value)  # type: ignore[arg-type]

    def __str__(self) -> str:
        if self.mode not in ("sampling", "threshold"):
            return self.mode
        return f"{self.mode}:{int(self.value) if float(self.value).is_integer() else self.value}"
