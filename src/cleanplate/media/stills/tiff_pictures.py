"""TIFF of any depth as a picture: photometric interpretation, inks, alpha, floats, orientation."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from cleanplate.errors import InputError
from cleanplate.frame import AnyArray, Light, Pixels, to_depth
from cleanplate.media.colour.h273 import Colour
from cleanplate.media.colour.transfer import SRGB, encode
from cleanplate.media.orientation import UPRIGHT, make_upright
from cleanplate.media.stills import tiff
from cleanplate.media.stills.decoded_picture import Picture, upright
from cleanplate.media.stills.exr import LARGEST_HALF
from cleanplate.media.stills.picture_kinds import check_budget, refuse_thumbnail
from cleanplate.media.stills.picture_tags import PictureTags
from cleanplate.media.stills.pillow_pictures import cmyk_to_rgb, decode_8_bits, explaining_damage, open_header


def read_tiff(path: Path, data: bytes, directory: tiff.Directory, budget_bytes: int | None) -> Picture:
    """Read a TIFF of any depth: samples as stored, then photometric interpretation, alpha, orientation.

    Args:
        path: Its name in messages.
        data: The file.
        directory: Of its first picture.
        budget_bytes: Largest memory for the decoded pixels, as of
            :func:`cleanplate.media.stills.image_reader.read_image`.

    Raises:
        InputError: It is damaged, over the budget, or of a layout that cannot be read.
    """
    refuse_thumbnail(path, directory)
    height, width = directory.size
    floats = directory.sample_format == tiff.FLOATS
    colours = 3 + (directory.alpha is not None)
    # Of floats: the samples, the light and the codes at the same time.
    size = 4 * directory.samples + 24 if floats else colours * (2 if directory.bits == 16 else 1)
    check_budget(path, width, height, size, budget_bytes, bits=directory.bits or 8)
    orientation = directory.integer(tiff.ORIENTATION, UPRIGHT)
    if not directory.is_plain:
        return _read_odd_tiff(path, data, directory, orientation)
    with explaining_damage(path):
        samples = tiff.decode_samples(data, directory)
    if samples is None or samples.shape != (height, width, directory.samples):
        raise InputError(
            f"{path} is damaged or cut short: its pixels cannot be decoded.", "save it again as plain RGB"
        )
    photometric = directory.integer(tiff.PHOTOMETRIC, tiff.MIN_IS_BLACK)
    if floats:
        return _float_picture(path, samples, directory, orientation)
    top = np.iinfo(samples.dtype).max
    alpha = multiplied = None
    if directory.alpha is not None:
        number, multiplied = directory.alpha
        alpha = samples[..., number]
    profile = directory.profile
    if photometric == tiff.CMYK:
        inks = Image.fromarray(to_depth(np.ascontiguousarray(samples[..., :4]), np.uint8), "CMYK")
        pixels, profile = np.asarray(cmyk_to_rgb(inks, profile)), None
        alpha = None if alpha is None else to_depth(np.ascontiguousarray(alpha), np.uint8)
    elif photometric == tiff.RGB:
        pixels = samples[..., :3]
    else:
        grey = samples[..., 0] if photometric == tiff.MIN_IS_BLACK else top - samples[..., 0]
        pixels = np.repeat(grey[..., None], 3, axis=2)
    if alpha is not None and multiplied:
        pixels = _unmultiply(pixels, alpha)
    return upright(pixels, alpha, orientation, profile)


def _read_odd_tiff(path: Path, data: bytes, directory: tiff.Directory, orientation: int) -> Picture:
    """Read palettes, few bits, JPEG inside and the like with Pillow, up to 8 bits."""
    if directory.sample_format == tiff.FLOATS:
        raise InputError(
            f"{path} stores floats in a layout that cannot be read.",
            "save it as EXR, or as plain RGB of 32 bits",
        )
    if directory.bits == 0 or directory.bits > 8:
        what = "is stored in a 16-bit layout that cannot be read"
        if directory.bits != 16 or directory.sample_format != tiff.UNSIGNED:
            what = "has samples that are neither 8 nor 16 bits, or that are signed"
        raise InputError(f"{path} {what}.", "save it as plain RGB of 8 or 16 bits")
    with explaining_damage(path), open_header(io.BytesIO(tiff.without_orientation(data, directory))) as image:
        image.load()
        pixels, alpha, profile = decode_8_bits(image, path, directory.profile)
    return upright(pixels, alpha, orientation, profile)


def _float_picture(path: Path, samples: AnyArray, directory: tiff.Directory, orientation: int) -> Picture:
    """A TIFF of floats as light."""
    photometric = directory.integer(tiff.PHOTOMETRIC, tiff.MIN_IS_BLACK)
    if photometric == tiff.CMYK:
        raise InputError(f"{path} stores inks (CMYK) as floats, which cannot be read.", "save it as RGB")
    floats = np.nan_to_num(samples, nan=0.0, posinf=LARGEST_HALF, neginf=-LARGEST_HALF).astype(np.float32)
    light: Light = floats[..., :3] if photometric == tiff.RGB else np.repeat(floats[..., :1], 3, axis=2)
    if photometric == tiff.MIN_IS_WHITE:
        light = 1 - light
    alpha = None
    if directory.alpha is not None:
        number, multiplied = directory.alpha
        weight = np.clip(floats[..., number], 0, 1)
        if multiplied:
            light = np.where(weight[..., None] > 0, light / np.where(weight > 0, weight, 1)[..., None], light)
            light = np.clip(light, -LARGEST_HALF, LARGEST_HALF)
        alpha = np.ascontiguousarray(make_upright(np.rint(weight * 65535).astype(np.uint16), orientation))
    light = np.ascontiguousarray(make_upright(np.ascontiguousarray(light), orientation))
    colour = Colour("full", "rgb", transfer=SRGB)
    return Picture(
        encode(light, SRGB, np.uint16), alpha, None, light, PictureTags(bit_depth=16, colour=colour)
    )


def _unmultiply(pixels: Pixels, alpha: AnyArray) -> Pixels:
    top = np.iinfo(pixels.dtype).max
    weight = np.maximum(alpha, 1).astype(np.float32)[..., None] / top
    return np.asarray(np.minimum(np.rint(pixels / weight), top), pixels.dtype)
