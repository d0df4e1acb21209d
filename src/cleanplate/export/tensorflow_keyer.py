"""The keyer as one TensorFlow graph, from source and plate to alpha and foreground, with the router inside.

Its numbers are those of the torch router without rounding to code values. It keys the whole picture, with the
plate as it is: not aligned, not exposure-matched. Tensors are (batch, height, width, channels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cleanplate.models.config import HD_LONG_SIDE, LEAST_GROWTH, REFERENCE_LONG_SIDE, ModelConfig
from cleanplate.router import Refine
from cleanplate.router.cells import CELL, measure_windows
from cleanplate.router.layout import HD_PIXELS, PADDING_LIMIT
from cleanplate.runtimes.tensorflow_graph import TensorFlowGraph
from cleanplate.runtimes.tensorflow_library import tf

Tensor = Any

TILE = 32
"""Side in pixels of the squares that the refiner computes around selected cells."""


@dataclass(frozen=True)
class KeyingGraph:
    """Keyer for calls inside of a ``tf.function``.

    Attributes:
        config: The model's record.
        coarse: The coarse network.
        refiner: The refiner; None for a model without a refiner.
        scale: Coarse input over picture; None: the model's own, by the picture's size.
        refine: Rule that selects the cells; None: the model's own.
    """

    config: ModelConfig
    coarse: TensorFlowGraph
    refiner: TensorFlowGraph | None
    scale: float | None = None
    refine: Refine | None = None

    def __call__(self, src: Tensor, bgr: Tensor) -> dict[str, Tensor]:
        """Key a batch of ``(B, H, W, 3)`` in [0, 1]: ``pha`` ``(B, H, W, 1)``, ``fgr`` ``(B, H, W, 3)``."""
        height, width = tf.shape(src)[1], tf.shape(src)[2]
        padded, coarse_size = self._lay_out(height, width)
        source, plate = _pad(src, padded), _pad(bgr, padded)
        alpha, residual, error, hidden = self._look(source, plate, coarse_size)
        coarse = tf.concat([alpha, residual], -1)
        matte = self._refine(source, plate, coarse, error, hidden, height * width)[:, :height, :width]
        # Foreground is the source plus the residual.
        return {
            "pha": tf.clip_by_value(matte[..., :1], 0.0, 1.0),
            "fgr": tf.clip_by_value(src + matte[..., 1:], 0.0, 1.0),
        }

    def _lay_out(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the sizes of padded and coarse picture, like :func:`~cleanplate.router.layout.lay_out`."""
        size = tf.stack([height, width])
        scale = self._scale_of(size)
        multiple = self.config.size_multiple
        plain = _round_up(size, CELL)
        if multiple == 1:
            return plain, tf.cast(tf.floor(tf.cast(plain, tf.float64) * scale), tf.int32)
        # Pad to a whole ratio of picture and coarse input, if that is cheap.
        ratio = tf.round(1 / scale)
        unit = tf.cast(ratio, tf.int32) * multiple
        whole = _round_up(size, _least_common_multiple(unit, CELL))
        area, whole_area = (tf.cast(tf.reduce_prod(x), tf.float64) for x in (size, whole))
        is_whole = (tf.abs(ratio * scale - 1) < 1e-9) & (whole_area <= PADDING_LIMIT * area)
        padded = tf.where(is_whole, whole, plain)
        wanted = tf.cast(tf.round(tf.cast(padded, tf.float64) * scale / multiple), tf.int32)
        return padded, tf.maximum(1, tf.minimum(wanted, padded // multiple)) * multiple

    def _scale_of(self, size: Tensor) -> Tensor:
        """Compute the scale: the requested one, or the default scale of the model's record."""
        if self.scale is not None:
            return tf.constant(self.scale, tf.float64)
        longest = tf.cast(tf.reduce_max(size), tf.float64)
        target = self.config.target_long_side
        if target is None:
            return tf.where(longest <= HD_LONG_SIDE, tf.constant(0.25, tf.float64), 0.125)
        growth = tf.maximum(tf.sqrt(longest / REFERENCE_LONG_SIDE), tf.constant(LEAST_GROWTH, tf.float64))
        return 1 / tf.maximum(tf.constant(1, tf.float64), tf.round(2 * longest / (target * growth)) / 2)

    def _look(self, source: Tensor, plate: Tensor, size: Tensor) -> list[Tensor]:
        shrink = _average if self.config.shrink == "area" else _interpolate
        small, small_plate = shrink(source, size), shrink(plate, size)
        if self.config.plate_channels == 4:
            # The plate is known everywhere.
            small_plate = tf.concat([small_plate, tf.ones_like(small_plate[..., :1])], -1)
        return self.coarse(small, small_plate)

    def _refine(
        self, source: Tensor, plate: Tensor, coarse: Tensor, error: Tensor, hidden: Tensor, pixels: Tensor
    ) -> Tensor:
        """Bring alpha and residual to the picture's size, and refine the selected cells; ``(B, H, W, 4)``."""
        refine = self.refine or Refine.parse(self.config.refine)
        size = tf.shape(source)[1:3]
        kernel = self.config.refiner_kernel
        refiner = self.refiner
        if refiner is None or kernel is None or refine.mode == "off":
            return _interpolate(coarse, size)
        windows = measure_windows(TILE, kernel)
        both = tf.concat([source, plate], -1)
        maps = _interpolate(tf.concat([hidden, coarse], -1), size // 2)
        half = tf.concat([maps, tf.nn.avg_pool2d(both, 2, 2, "VALID")], -1)
        if refine.mode == "full":
            everywhere: Tensor = refiner(
                _surround(half, windows.half_halo), _surround(both, windows.full_halo)
            )[0]
            return everywhere
        blocks = _divide(self._select(error, size // CELL, refine, pixels), TILE // CELL)
        tiles = tf.where(tf.reduce_any(blocks, (3, 4)))
        enlarged = _interpolate(coarse, size)

        def refine_tiles() -> Tensor:
            half_windows = _cut(half, tiles, TILE // 2, windows.half_halo)
            full_windows = _cut(both, tiles, TILE, windows.full_halo)
            refined = refiner(half_windows, full_windows)[0]
            return _paste(refined, tiles, tf.gather_nd(blocks, tiles), enlarged)

        # TensorFlow's oneDNN convolutions fail for an empty batch of tiles.
        return tf.cond(tf.shape(tiles)[0] > 0, refine_tiles, lambda: enlarged)

    def _select(self, error: Tensor, size: Tensor, refine: Refine, pixels: Tensor) -> Tensor:
        """Select cells like :func:`cleanplate.router.cells.select_cells`: bool ``(B, rows, columns)``."""
        per_cell = _interpolate(error, size)[..., 0]
        if refine.mode == "threshold":
            return per_cell > refine.value
        flat = tf.reshape(per_cell, [-1, size[0] * size[1]])
        wanted = tf.constant(refine.value, tf.float64)
        if self.refine is None:
            wanted = tf.round(wanted * tf.cast(pixels, tf.float64) / HD_PIXELS)
        count = tf.minimum(tf.cast(wanted, tf.int32) // CELL**2, size[0] * size[1])
        highest = tf.math.top_k(flat, count, sorted=False).indices
        batch = tf.broadcast_to(tf.range(tf.shape(flat)[0])[:, None], tf.shape(highest))
        chosen = tf.scatter_nd(
            tf.stack([batch, highest], -1), tf.ones_like(highest), tf.shape(flat, tf.int32)
        )
        return tf.reshape((chosen > 0) & (flat > 0), tf.shape(per_cell))


def _round_up(size: Tensor, multiple: Tensor | int) -> Tensor:
    return -(-size // multiple) * multiple


def _least_common_multiple(a: Tensor, powers_of_two: int) -> Tensor:
    """Compute the least common multiple of a number and a power of two."""
    while_even = tf.bitwise.bitwise_and(a, -a)  # the largest power of two that divides it
    return a * powers_of_two // tf.minimum(while_even, powers_of_two)


def _pad(picture: Tensor, size: Tensor) -> Tensor:
    """Repeat the last row and column until the picture has ``size``."""
    below, right = size[0] - tf.shape(picture)[1], size[1] - tf.shape(picture)[2]
    picture = tf.concat([picture, tf.tile(picture[:, -1:], [1, below, 1, 1])], 1)
    return tf.concat([picture, tf.tile(picture[:, :, -1:], [1, 1, right, 1])], 2)


def _interpolate(maps: Tensor, size: Tensor) -> Tensor:
    return tf.raw_ops.ResizeBilinear(images=maps, size=size, half_pixel_centers=True)


def _average(picture: Tensor, size: Tensor) -> Tensor:
    """Resize by averaging the area of each pixel; in the router's steps if the ratio is not whole."""
    given = tf.shape(picture)[1:3]
    return tf.cond(
        tf.reduce_all(given % size == 0),
        lambda: _average_whole(picture, size),
        lambda: _average_by_steps(picture, size),
    )


def _average_whole(picture: Tensor, size: Tensor) -> Tensor:
    channels = picture.shape[3]
    down, across = tf.shape(picture)[1] // size[0], tf.shape(picture)[2] // size[1]
    return tf.reduce_mean(tf.reshape(picture, [-1, size[0], down, size[1], across, channels]), (2, 4))


def _average_by_steps(picture: Tensor, size: Tensor) -> Tensor:
    """Halve as in :func:`cleanplate.router.router.halve_towards`, then average with weights."""

    def goes_on(x: Tensor) -> Tensor:
        given = tf.shape(x)[1:3]
        return tf.reduce_all((given % 2 == 0) & (given // 2 >= size)) & tf.reduce_any(given % size != 0)

    free = tf.TensorShape([None, None, None, picture.shape[3]])
    (picture,) = tf.while_loop(
        goes_on, lambda x: (tf.nn.avg_pool2d(x, 2, 2, "VALID"),), [picture], shape_invariants=[free]
    )
    return tf.raw_ops.ResizeArea(images=picture, size=size)


def _surround(picture: Tensor, halo: int) -> Tensor:
    """Pad with zeros on all sides."""
    return tf.pad(picture, [[0, 0], [halo, halo], [halo, halo], [0, 0]])


def _divide(selected: Tensor, step: int) -> Tensor:
    """View ``(B, rows, columns)`` as squares ``(B, R, C, step, step)``, False outside."""
    shape = tf.shape(selected)
    # As numbers: for booleans TensorFlow warns that oneDNN cannot transpose them on every CPU.
    padded = tf.pad(tf.cast(selected, tf.float32), [[0, 0], [0, -shape[1] % step], [0, -shape[2] % step]])
    squares = tf.reshape(
        padded, [-1, _round_up(shape[1], step) // step, step, _round_up(shape[2], step) // step, step]
    )
    return tf.transpose(squares, (0, 1, 3, 2, 4)) > 0


def _cut(picture: Tensor, tiles: Tensor, step: int, halo: int) -> Tensor:
    """Cut squares of ``step`` pixels with a halo, zero outside: ``(N, step + 2 halo, step + 2 halo, C)``.

    ``tiles`` ``(N, 3)`` are picture, row and column, counted in tiles.
    """
    shape = tf.shape(picture)
    below, right = (halo + -shape[axis] % step for axis in (1, 2))  # the last tiles extend beyond the picture
    padded = tf.pad(picture, [[0, 0], [halo, below], [halo, right], [0, 0]])
    height, width = (tf.shape(padded, tf.int64)[axis] for axis in (1, 2))
    inside = tf.range(step + 2 * halo, dtype=tf.int64)
    row = tiles[:, 0:1] * height + tiles[:, 1:2] * step + inside
    column = tiles[:, 2:3] * step + inside
    index = row[:, :, None] * width + column[:, None, :]
    return tf.gather(tf.reshape(padded, [-1, picture.shape[3]]), index)


def _paste(refined: Tensor, tiles: Tensor, selected: Tensor, result: Tensor) -> Tensor:
    """Write the selected cells ``(N, step, step)`` of refined tiles over ``(B, H, W, 4)``.

    The four pixels of a cell's row are copied as one item.
    """
    step = TILE // CELL
    cells = tf.where(selected)
    runs = tf.reshape(refined, [-1, step, CELL, step, CELL * 4])
    values = tf.gather_nd(tf.transpose(runs, (0, 1, 3, 2, 4)), cells)
    place = tf.gather(tiles, cells[:, 0])
    shape = tf.shape(result, tf.int64)
    row = (place[:, 1] * step + cells[:, 1]) * CELL + place[:, 0] * shape[1]
    column = place[:, 2] * step + cells[:, 2]
    written = (row[:, None] + tf.range(CELL, dtype=tf.int64)) * (shape[2] // CELL) + column[:, None]
    flat = tf.reshape(result, [-1, CELL * 4])
    return tf.reshape(
        tf.tensor_scatter_nd_update(flat, tf.reshape(written, [-1, 1]), tf.reshape(values, [-1, CELL * 4])),
        tf.shape(result),
    )
