"""A matte with tensors on the runtime's device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cleanplate.errors import InputError
from cleanplate.frame import Matte
from cleanplate.router.torch_router import to_pixels


@dataclass(frozen=True, repr=False)
class DeviceMatte(Matte):
    """A :class:`~cleanplate.frame.Matte` on the device; :meth:`to_host` gives the usual one.

    Attributes:
        alpha: Tensor, float32 in [0, 1], ``(height, width)``.
        foreground: Picture ``(3, height, width)``.
        plate: In main memory, as for every matte, because one plate serves many frames.

    Raises:
        InputError: The shapes do not fit each other.
    """

    alpha: Any
    foreground: Any

    def __post_init__(self) -> None:
        size = (self.frame.height, self.frame.width)
        if self.alpha.shape != size:
            raise InputError(f"Expected alpha of shape {size}, got {tuple(self.alpha.shape)}.")
        if self.foreground.shape != (3, *size):
            raise InputError(
                f"Expected foreground of shape {(3, *size)}, got {tuple(self.foreground.shape)}."
            )

    def _repr_png_(self) -> bytes:
        return self.to_host()._repr_png_()

    def to_host(self) -> Matte:
        """The same matte in main memory."""
        foreground = to_pixels(self.foreground).cpu().numpy()
        return Matte(self.alpha.cpu().numpy(), foreground, self.frame, self.shadow, self.plate)
