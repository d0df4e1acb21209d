"""Parity check of an export on a real pair of photograph and plate: results are compared with PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cleanplate.errors import ModelError
from cleanplate.export.export_options import Exported, ExportOptions
from cleanplate.frame import Float32Array, Padding, Pixels
from cleanplate.media.stills.image_reader import read_image
from cleanplate.models.registry import Model
from cleanplate.router import Refine
from cleanplate.router.layout import lay_out
from cleanplate.router.router import halve_towards
from cleanplate.runtimes import RecurrentRuntime, Runtime, open_recurrent_runtime, open_runtime

PAIR = Path(__file__).parent / "pair"
"""A photograph and its plate, 640 x 360."""

BOUNDS = {"float32": 1e-4, "float16": 1e-2}
"""Largest allowed difference, of alpha, and of foreground where alpha is not 0."""

MEAN_BOUNDS = {"int8": 1e-2}
"""Largest allowed mean difference, for precisions where single pixels may differ by more."""

# Selected cells may differ where two runtimes round the error of a cell to different sides of the threshold.
_SHARE_OF_PIXELS = 2e-4


@dataclass(frozen=True)
class Difference:
    """Difference of an export from PyTorch on the real pair.

    Attributes:
        alpha, foreground: The largest difference of any pixel, apart from a share of 2e-4 of all pixels.
        mean_alpha, mean_foreground: The mean difference.
        bound: Upper bound of the first two, or of the means where these decide.
        of_means: Whether the means decide.
    """

    alpha: float
    foreground: float
    mean_alpha: float
    mean_foreground: float
    bound: float
    of_means: bool = False

    @property
    def decisive(self) -> tuple[float, float]:
        """The differences of alpha and of foreground that are compared with the bound."""
        return (self.mean_alpha, self.mean_foreground) if self.of_means else (self.alpha, self.foreground)

    @property
    def passes(self) -> bool:
        """True if both are within the bound; False for NaN."""
        return max(self.decisive) <= self.bound

    def __str__(self) -> str:
        alpha, foreground = self.decisive
        return (
            f"{'mean' if self.of_means else 'largest'} difference from PyTorch on a real pair: "
            f"alpha {alpha:.1e}, foreground {foreground:.1e}; allowed {self.bound:g}"
        )


def read_pair(size: tuple[int, int] | None = None) -> tuple[Pixels, Pixels]:
    """Read source and plate, uint8 RGB, at ``size`` or at their own size."""
    pair = [read_image(PAIR / f"{name}.jpg").pixels for name in ("source", "plate")]
    if size is not None:
        pair = [cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR) for pixels in pair]
    return pair[0], pair[1]


def check_export(model: Model, options: ExportOptions, exported: Exported) -> Difference:
    """Compare ``exported.key`` with the torch runtime.

    Raises:
        ModelError: They differ by more than the bound of the export's precision.
    """
    source, plate = read_pair(options.size)
    if model.config.needs_plate:
        reference = open_runtime(model, "torch", "cpu")
        padding = Padding.of(source.shape[0], source.shape[1], exported.multiple)
        refine = exported.refine or Refine("full")
        padded = key_with(reference, padding.pad(source), padding.pad(plate), exported.scale, refine)
        expected = padding.crop(padded[0]), padding.crop(padded[1])
    else:
        expected = key_first_frame(open_recurrent_runtime(model, "torch", "cpu"), source, exported.scale)
    of_means = exported.precision in MEAN_BOUNDS
    bound = (MEAN_BOUNDS if of_means else BOUNDS)[exported.precision]
    difference = measure_difference(exported.key(source, plate), expected, bound, of_means=of_means)
    if not difference.passes:
        alpha, foreground = difference.decisive
        raise ModelError(
            f"The exported '{model.config.name}' differs from PyTorch: alpha by {alpha:.1e}, "
            f"foreground by {foreground:.1e}{' on average' if of_means else ''} (bound {bound:g})."
        )
    return difference


def key_with(
    runtime: Runtime[Any], source: Pixels, plate: Pixels, scale: float | None, refine: Refine
) -> tuple[Float32Array, Float32Array]:
    """Key a pair with the plate as it is; see :data:`cleanplate.export.export_options.KeyPair`.

    The coarse network sees the whole picture, even for models that can be restricted to the changed region.
    """
    config, router = runtime.model.config, runtime.router
    height, width = source.shape[:2]
    layout = lay_out(config, height, width, scale, refine)
    # 16 bits a channel, to avoid rounding to 8 bits; 257 * 255 is their maximum.
    source, plate = (layout.padding.pad(pixels).astype(np.uint16) * 257 for pixels in (source, plate))
    seen = plate
    if config.plate_channels == 4:
        seen = np.dstack([plate, np.full(plate.shape[:2], 65535, np.uint16)])
    coarse = runtime.coarse(*(_shrink(runtime, pixels, layout.coarse_size) for pixels in (source, seen)))
    picture, background = router.upload(source), router.upload(plate)
    kernel = config.refiner_kernel or 3
    alpha, foreground = router.refine(picture, background, coarse, layout.refine, runtime.refine, kernel)
    crop = layout.padding.crop
    return crop(alpha[0]), crop(foreground[0]) / np.float32(65535)


def _shrink(runtime: Runtime[Any], pixels: Pixels, size: tuple[int, int]) -> Any:
    """Shrink pixels like the router but without its rounding, as an exported graph does not round."""
    config, router = runtime.model.config, runtime.router
    method: Any = config.shrink
    small = router.shrink(router.upload(pixels), size, method)
    if method == "bilinear":
        return small
    exact: Any = pixels.astype(np.float32) / 65535
    while halve_towards(exact.shape[:2], size):
        exact = cv2.resize(exact, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    exact = cv2.resize(exact, size[::-1], interpolation=cv2.INTER_AREA)
    exact = np.ascontiguousarray(exact.transpose(2, 0, 1)[None])
    return exact if isinstance(small, np.ndarray) else small.new_tensor(exact)


def key_first_frame(
    runtime: RecurrentRuntime, source: Pixels, scale: float | None
) -> tuple[Float32Array, Float32Array]:
    """Key a picture as the first frame of a model without a plate."""
    ratio = scale or runtime.model.config.default_scale(*source.shape[:2])
    keyed = runtime.key(source[None].astype(np.uint16) * 257, None, ratio)
    return keyed.alpha[0], keyed.foreground[0] / np.float32(65535)


def measure_difference(
    found: tuple[Float32Array, Float32Array],
    expected: tuple[Float32Array, Float32Array],
    bound: float,
    *,
    of_means: bool = False,
) -> Difference:
    """Compare two mattes; colour counts where either alpha is not 0. NaN counts as infinite."""
    if any(one.shape != other.shape for one, other in zip(found, expected, strict=True)):
        return Difference(np.inf, np.inf, np.inf, np.inf, bound, of_means)
    alpha = _distance(found[0], expected[0])
    seen = (found[0] > 0) | (expected[0] > 0)
    foreground = _distance(found[1], expected[1])[seen]
    return Difference(
        _largest(alpha), _largest(foreground), float(alpha.mean()), _mean(foreground), bound, of_means
    )


def _distance(found: Float32Array, expected: Float32Array) -> Float32Array:
    distance: Float32Array = np.nan_to_num(np.abs(found - expected), nan=np.inf)
    return distance


def _largest(distance: Float32Array) -> float:
    if distance.size == 0:
        return 0.0
    return float(np.quantile(distance, 1 - _SHARE_OF_PIXELS, method="higher"))


def _mean(distance: Float32Array) -> float:
    return float(distance.mean()) if distance.size else 0.0
