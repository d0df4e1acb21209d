"""Protocol of every router, with its inputs and results."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from cleanplate.errors import OptionError
from cleanplate.frame import AnyArray, BoolArray, Float32Array, Padding, Pixels
from cleanplate.router.changed_region import ChangedRegion
from cleanplate.router.refine import Refine

Array = TypeVar("Array")
Shrink = Literal["area", "bilinear"]


@dataclass(frozen=True)
class Coarse(Generic[Array]):
    """Result of the coarse network for ``B`` pictures, at its own size ``(h, w)``.

    Attributes:
        alpha: ``(B, 1, h, w)`` in [0, 1].
        residual: ``(B, 3, h, w)``; foreground colour minus source colour, in units of the full range.
        error: ``(B, 1, h, w)`` in [0, 1]; the expected error of alpha. Cells below 0 are never refined.
        hidden: ``(B, C, h, w)``, at least 0; features for the refiner.
    """

    alpha: Array
    residual: Array
    error: Array
    hidden: Array


def halve_towards(size: tuple[int, int], target: tuple[int, int]) -> bool:
    """Tell whether halving a picture is a good first step to shrink it by averaging.

    Halving is fast on every device. Between sizes of a whole ratio it is used where it does not change the
    result; elsewhere it changes the result slightly and saves time.
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
            self.add(name, time.perf_counter() - began)

    def add(self, name: str, seconds: float) -> None:
        """Add seconds to a stage."""
        with self._lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds


class Router(Protocol[Array]):
    """Way from pixels to networks and back, for one kind of array.

    A *picture* is the router's own form of pixels on its device. All pictures of one call have the same size,
    with both sides multiples of 4. A router keeps buffers between calls, so it serves one call at a time.

    Attributes:
        clock: Seconds of the stages ``shrink``, ``change``, ``select``, ``cut``, ``refine``, ``paste`` and
            ``foreground`` since the clock was last replaced: the sum over all threads; on an accelerator, the
            times of submission.
    """

    clock: Clock

    def upload(self, pixels: Pixels) -> Array:
        """Make a picture from uint8 or uint16, ``(H, W, C)`` or ``(B, H, W, C)``; it may share memory."""
        ...

    def shrink(self, picture: Array, size: tuple[int, int], method: Shrink) -> Array:
        """Resize the picture to ``size`` for the networks: float ``(B, C, h, w)`` in [0, 1].

        ``area`` averages the area of each pixel; it may round to the source's type once per halving.
        ``bilinear`` uses four pixels only (half-pixel centres, no anti-aliasing), as in BGMv2's training, and
        does not round.
        """
        ...

    def bring(self, maps: Array) -> Float32Array:
        """Copy maps ``(B, C, h, w)`` to main memory; the result may share their memory."""
        ...

    def take(self, maps: Float32Array) -> Array:
        """Make maps for the networks from ``(B, C, h, w)`` of main memory, with which it may share memory."""
        ...

    def find_change(self, source: Array, plate: Array) -> ChangedRegion | None:
        """Find the region in which a small source may differ from its small plate.

        Args:
            source: ``(B, 3, h, w)``, from :meth:`shrink`.
            plate: ``(B, 4, h, w)``, the fourth channel 1 where it is known; unknown pixels count as changed.

        Returns:
            One region for the whole batch (see :mod:`cleanplate.router.changed_region`); None where nothing
            changed.
        """
        ...

    def expand(self, coarse: Coarse[Array], region: ChangedRegion, size: tuple[int, int]) -> Coarse[Array]:
        """Copy the maps of a region into maps of ``size`` that are zero elsewhere.

        ``region`` is counted in pixels of the maps.
        """
        ...

    def nothing(self, batch: int, hidden: int, size: tuple[int, int]) -> Coarse[Array]:
        """Make the maps of pictures in which nothing changed: zero everywhere."""
        ...

    def refine(
        self,
        source: Array,
        plate: Array,
        coarse: Coarse[Array],
        refine: Refine,
        network: Callable[[Array, Array], Array],
        kernel: int,
    ) -> tuple[Float32Array, AnyArray]:
        """Bring the coarse result to full resolution and refine the cells that ``refine`` selects.

        Args:
            source: ``B`` pictures of ``(H, W)`` with 3 channels.
            plate: Their plates, of the same type; or one for all.
            coarse: Result of the coarse network for them.
            refine: Rule that selects the cells.
            network: The refiner: ``half`` and ``full`` windows to ``(N, 4, side, side)``; see
                :func:`cleanplate.router.cells.measure_windows`. It may be called from several threads.
            kernel: Side of the refiner's convolutions, 1 or 3; it decides the halo of the windows.

        Returns:
            Alpha, float32 ``(B, H, W)`` in [0, 1], and the straight foreground ``(B, H, W, 3)`` in the type
            of the source, both new arrays in main memory.
        """
        ...

    def show_maps(
        self, coarse: Coarse[Array], size: tuple[int, int], refine: Refine
    ) -> tuple[Float32Array, BoolArray]:
        """Make the maps that explain the choice of :meth:`refine`, for pictures of ``size``.

        Returns:
            The error that the coarse network expects, bilinear, float32 ``(B, H, W)`` in [0, 1], and the
            pixels of the selected cells, bool ``(B, H, W)``; both in main memory.
        """
        ...


@runtime_checkable
class DeviceRouter(Router[Array], Protocol[Array]):
    """A router whose results may stay on its device for further work there.

    Attributes:
        is_apart: Whether the device has a memory of its own, so that copies cost time.
    """

    is_apart: bool

    def send(self, pixels: Pixels) -> Any:
        """Begin to copy ``(H, W, 3)`` to the device, from any thread, while it computes."""
        ...

    def receive(self, sent: Any, padding: Padding) -> Array:
        """Make a padded picture from the result of :meth:`send`."""
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
        """Refine like :meth:`refine`, with results that stay on the device.

        Returns:
            Alpha ``(B, H, W)``, and the foreground as a picture, both on the device.
        """
        ...

    def glance(self, alpha: Array, size: tuple[int, int], method: Shrink) -> Float32Array:
        """Copy alpha ``(H, W)``, reduced to ``(h, w)`` as by :meth:`shrink`, to main memory."""
        ...


def stay_with(router: object, on_device: bool | None, *, plain: bool) -> DeviceRouter[Any] | None:
    """Give the router on whose device mattes stay; None: they come to main memory.

    Args:
        router: Router of the runtime.
        on_device: Whether mattes stay on the device; None: yes where copies cost time.
        plain: Whether the keyer needs no step that runs in main memory.

    Raises:
        OptionError: ``on_device`` is True, and mattes cannot stay there.
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
