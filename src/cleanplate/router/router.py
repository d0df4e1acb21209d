"""What every router promises, and what goes in and out of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from cleanplate.errors import OptionError
from cleanplate.frame import Padding, Pixels
from cleanplate.router.changed_region import Region
from cleanplate.router.refine import Refine

Array = TypeVar("Array")
Shrink = Literal["area", "bilinear"]


@dataclass(frozen=True)
class Coarse(Generic[Array]):
    """What the coarse network gives for ``B`` pictures, at its own size ``(h, w)``.

    Attributes:
        alpha: ``(B, 1, h, w)`` in [0, 1].
        residual: ``(B, 3, h, w)``; foreground colour minus source colour, in units of the full range.
        error: ``(B, 1, h, w)`` in [0, 1]; how far off alpha may be.
        hidden: ``(B, C, h, w)``, at least 0; features for the refiner.
    """

    alpha: Array
    residual: Array
    error: Array
    hidden: Array


def halve_towards(size: tuple[int, int], target: tuple[int, int]) -> bool:
    """Say whether halving a picture is a good first step to shrink it by averaging.

    Halving is fast everywhere. Between sizes of a whole ratio it is taken where it does not change the
    result; elsewhere it changes it a little, which the time is worth.
    """
    (height, width), (rows, columns) = size, target
    if height % 2 or width % 2 or height // 2 < rows or width // 2 < columns:
        return False
    whole = height % rows == width % columns == 0
    return not whole or height // 2 % rows == width // 2 % columns == 0


class Clock:
    """Adds up the seconds that each stage of one frame takes, over all threads that work on it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + spent


class Router(Protocol[Array]):
    """Between pixels and networks, for one kind of array.

    A *picture* is the router's own form of pixels: on its device, as cheap to make as possible. All pictures
    of one call have the same size, with both sides multiples of 4. A router keeps buffers between calls, so
    it serves one call at a time.

    Attributes:
        clock: Seconds of the stages ``shrink``, ``change``, ``select``, ``cut``, ``refine``, ``paste`` and
            ``foreground`` since the clock was last replaced: on several threads their sum, on an accelerator
            the times of submission.
    """

    clock: Clock

    def upload(self, pixels: Pixels) -> Array:
        """Make a picture of ``(H, W, C)`` or ``(B, H, W, C)`` uint8 or uint16; it may share their memory."""
        ...

    def shrink(self, picture: Array, size: tuple[int, int], method: Shrink) -> Array:
        """Give the picture at ``size`` as the networks want it: float ``(B, C, h, w)`` in [0, 1].

        ``area`` averages what falls on each pixel; it may round to the source's type on its way, once per
        halving. ``bilinear`` looks at four pixels only (half-pixel centres, no anti-aliasing), as BGMv2 was
        trained, and does not round.
        """
        ...

    def find_change(self, source: Array, plate: Array) -> Region | None:
        """Say where a small source may differ from its small plate; see
        :mod:`cleanplate.router.changed_region`.

        Args:
            source: ``(B, 3, h, w)``, from :meth:`shrink`.
            plate: ``(B, 4, h, w)``, the fourth channel 1 where it is known; what is unknown may have changed.

        Returns:
            One region for all of the batch; None where nothing changed.
        """
        ...

    def expand(self, coarse: Coarse[Array], region: Region, size: tuple[int, int]) -> Coarse[Array]:
        """Lay the maps of a region into maps of ``size`` that are zero elsewhere.

        ``region`` is counted in pixels of the maps.
        """
        ...

    def nothing(self, batch: int, hidden: int, size: tuple[int, int]) -> Coarse[Array]:
        """Give the maps of pictures in which nothing changed: zero everywhere."""
        ...

    def refine(
        self,
        source: Array,
        plate: Array,
        coarse: Coarse[Array],
        refine: Refine,
        network: Callable[[Array, Array], Array],
        kernel: int,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
        """Bring the coarse result to full resolution and refine the cells that ``refine`` selects.

        Args:
            source: ``B`` pictures of ``(H, W)``, 3 channels.
            plate: Their plates, of the same type; or one for all.
            coarse: What the coarse network said about them.
            refine: Which cells to refine.
            network: The refiner: ``half`` and ``full`` windows to ``(N, 4, side, side)``; see
                :func:`cleanplate.router.cells.measure_windows`. It may be called from several threads.
            kernel: Side of the refiner's convolutions, 1 or 3: how much neighbourhood the windows need.

        Returns:
            Alpha, float32 ``(B, H, W)`` in [0, 1], and the straight foreground ``(B, H, W, 3)`` in the type
            of the source, both new arrays in main memory.
        """
        ...

    def show_maps(
        self, coarse: Coarse[Array], size: tuple[int, int], refine: Refine
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Show what led :meth:`refine` for pictures of ``size``, for people to look at.

        Returns:
            The error that the coarse network expects, bilinear, float32 ``(B, H, W)`` in [0, 1], and the
            pixels of the selected cells, bool ``(B, H, W)``; both in main memory.
        """
        ...


@runtime_checkable
class DeviceRouter(Router[Array], Protocol[Array]):
    """A router whose device may keep what it made, for whoever goes on with it there.

    Attributes:
        is_apart: Whether the device has a memory of its own, so that copies cost something.
    """

    is_apart: bool

    def send(self, pixels: Pixels) -> Any:
        """Begin to bring ``(H, W, 3)`` to the device, from any thread, beside what is computed there."""
        ...

    def receive(self, sent: Any, padding: Padding) -> Array:
        """Make a picture of what :meth:`send` gave, padded."""
        ...

    def refine_on_device(
        self,
        source: Array,
        plate: Array,
        coarse: Coarse[Array],
        refine: Refine,
        network: Callable[[Array, Array], Array],
        kernel: int,
    ) -> tuple[Array, Array]:
        """Like :meth:`refine`, without the way to main memory.

        Returns:
            Alpha ``(B, H, W)``, and the foreground as a picture, both on the device.
        """
        ...

    def glance(self, alpha: Array, size: tuple[int, int], method: Shrink) -> npt.NDArray[np.float32]:
        """A smaller ``(h, w)`` of alpha ``(H, W)``, shrunken as by :meth:`shrink`, in main memory."""
        ...


def stay_with(router: object, on_device: bool | None, *, plain: bool) -> DeviceRouter[Any] | None:
    """The router that mattes stay with; None: they come to main memory.

    Args:
        router: The runtime's.
        on_device: Whether they are to stay; None: where copies cost something.
        plain: Whether nothing is asked of the keyer that is done in main memory.

    Raises:
        OptionError: They are to stay, and cannot.
    """
    if plain and isinstance(router, DeviceRouter):
        return router if on_device or (on_device is None and router.is_apart) else None
    if on_device:
        raise OptionError(
            "Mattes cannot stay on the device with a shadow, a region, maps of error and refinement, or a "
            "runtime other than PyTorch's.",
            "leave on_device out",
        )
    return None
