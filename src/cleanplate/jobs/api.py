"""Calls that key a photo or a clip."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cleanplate.compositing.converted_backdrop import open_own_backdrop
from cleanplate.compositing.finish import Finish, plan_finish
from cleanplate.compositing.layers import (
    Background,
    PathLike,
    check_alpha,
    choose_alpha,
    holds_light,
    render_layer,
)
from cleanplate.compositing.linear_layers import render_light
from cleanplate.compositing.over import describe_source_alpha, straight_rgba
from cleanplate.compositing.own_space import SourceColours, describe_colours, describe_space
from cleanplate.compositing.still_backdrops import Backdrop
from cleanplate.errors import OptionError
from cleanplate.frame import AnyArray, Float32Array, Matte, Pixels, to_depth
from cleanplate.jobs.clip_run import run_job
from cleanplate.jobs.job import AUTO_PLATE, CLIPS, FILES, NO_PLATE, Job, is_word
from cleanplate.jobs.keywords import check_keywords
from cleanplate.jobs.pipeline import Progress, Summary
from cleanplate.keyer.keyer import Keyer
from cleanplate.keyer.recurrent_keyer import RecurrentKeyer, check_finish, open_keyer
from cleanplate.keyer.shot_plate import own_pixels
from cleanplate.media import AS_USUAL, Encoding, Picture, write_image
from cleanplate.media.colour.camera_spaces import SRGB_WORD
from cleanplate.media.colour.h273 import UNSPECIFIED
from cleanplate.media.colour.icc import convert_colours, read_profile, same_colours, transfer_of_profile
from cleanplate.media.colour.transfer import SRGB
from cleanplate.media.stills.exr import check_exr_encoding, describe_light, write_exr
from cleanplate.media.stills.image_writer import NO_PROFILE_SUFFIXES
from cleanplate.media.stills.picture_inputs import is_image, take_picture
from cleanplate.media.stills.picture_tags import NO_TAGS, PictureTags
from cleanplate.plate import Plate
from cleanplate.plate.mixing.plate_set import PlateLike, PlateSet, load_plates
from cleanplate.system.system_errors import explaining_system_errors
from cleanplate.vocabulary import FinishOptions, KeyerOptions
from cleanplate.vocabulary.flags import check_needs, takes_options

if TYPE_CHECKING:
    from PIL import Image

EMPTY_ALPHA = 0.05
"""Largest alpha of an empty cut-out, which shows over no backdrop. The photo as its own plate gives 0."""

log = logging.getLogger("cleanplate")


@dataclass(frozen=True)
class Cutout:
    """The subject of one photo.

    Attributes:
        matte: Finished matte with its frame; the subject's colour continues where alpha is 0.
        plate: The plate before its fit, or several, for a blurred background; None without a plate.
        icc_profile: The photo's colour profile, which saved files get too.
        tags: Further tags of the photo's file.
        plate_colour: Colour space of the plate, as of :class:`cleanplate.vocabulary.KeyerOptions`.
    """

    matte: Matte
    plate: Plate | PlateSet | None
    icc_profile: bytes | None = None
    tags: PictureTags = NO_TAGS
    plate_colour: str | None = None

    def __repr__(self) -> str:
        matte = self.matte
        size = f"{matte.frame.width}x{matte.frame.height} {matte.frame.pixels.dtype}"
        return f"<Cutout {size}, alpha covers {float(matte.alpha.mean()):.1%}>"

    def _repr_png_(self) -> bytes:
        """Notebooks show the cut-out."""
        return self.matte._repr_png_()

    @property
    def alpha(self) -> Float32Array:
        """float32 in [0, 1], ``(height, width)``."""
        return self.matte.alpha

    @property
    def foreground(self) -> Pixels:
        """The subject's own colour, not multiplied by alpha: the photo's type, ``(height, width, 3)``."""
        return self.matte.foreground

    def rgba(self) -> Pixels:
        """Straight RGBA, ``(height, width, 4)``, in the photo's type."""
        return straight_rgba(self.matte)

    @property
    def colours(self) -> SourceColours:
        """Colour space of the photo, in which its results are."""
        frame = self.matte.frame
        has_light = frame.light is not None
        return describe_colours(frame.space or SRGB_WORD, None, self._tagged_transfer, has_light=has_light)

    @property
    def transfer(self) -> str:
        """Transfer function of the photo: of its space, its profile or its tags; sRGB without any."""
        return self.colours.transfer

    @property
    def _tagged_transfer(self) -> str:
        if self.icc_profile is not None and (own := transfer_of_profile(self.icc_profile)):
            return own
        tagged = self.tags.colour.transfer
        return SRGB if tagged == UNSPECIFIED else tagged

    def composite(
        self, background: Background, *, linear: bool = False, background_colour: str | None = None
    ) -> Pixels:
        """The subject over something else, ``(height, width, 3)``, in the photo's type.

        Args:
            background: A colour (``"#00b140"``, ``"white"``), ``"blur"``, the path of a picture or of a video
                (its first frame), or pixels.
            linear: Mix light instead of code values, as a lens does: brighter, softer edges. Log photos are
                always mixed so.
            background_colour: Colour space of the background behind a log or ACES photo.
        """
        transfer = self.transfer if linear or self.colours.mixes_light else None
        opened = self._open_backdrop(background, transfer, background_colour)
        with contextlib.closing(opened) as backdrop:
            return render_layer("composite", backdrop, transfer=transfer)(self.matte)

    def _open_backdrop(self, background: Background, transfer: str | None, space: str | None) -> Backdrop:
        colours, empty = self.colours, None
        if self.plate is not None and colours.view is None:
            empty = self.plate.with_colours_of(self.matte.frame).pixels
        elif self.plate is not None:
            first = self.plate.plates[0] if isinstance(self.plate, PlateSet) else self.plate
            empty = own_pixels(first, self.plate_colour, colours)
        return open_own_backdrop(
            background, empty, colours, transfer=transfer, space=space, profile=self.icc_profile
        )

    def save(
        self,
        path: PathLike,
        *,
        layer: str = "cutout",
        background: Background | None = None,
        alpha: str | None = None,
        linear: bool = False,
        overwrite: bool = False,
        encoding: Encoding = AS_USUAL,
        background_colour: str | None = None,
    ) -> None:
        """Write one layer; the suffix chooses the format, of which JPEG has no alpha.

        Args:
            path: The file.
            layer: ``cutout`` (RGBA), ``alpha``, ``foreground``, ``composite``; ``shadow``, the share of light
                that it leaves, white outside of it; ``error`` and ``refine``, the keyer's maps; ``hint``, a
                coarse alpha for other keyers.
            background: For the composite, see :meth:`composite`.
            alpha: ``straight``, or ``premultiplied``: the cut-out's colour is multiplied by alpha. TIFF says
                so in the file, PNG and WebP cannot. If None, premultiplied for EXR and straight elsewhere.
            linear: For the composite; EXR always stores linear light.
            overwrite: Replace an existing file.
            encoding: Compression and extra channels of EXR, quality of JPEG, WebP, AVIF and JPEG XL.
            background_colour: Colour space of the background, see :meth:`composite`.

        Raises:
            OptionError: An unknown layer or kind of alpha, a composite without a background, or a shadow or
                map that was not computed.
            OutputError: The file cannot be written.
            MissingExtraError: The format is EXR, and its library is not installed.
        """
        path = Path(path)

        if layer == "shadow" and self.matte.shadow is None:
            raise OptionError("The shadow was not measured.", "cut out with shadow='separate'")
        check_alpha(alpha, [layer, "cutout"])
        check_exr_encoding(encoding, path)
        alpha = choose_alpha(path, alpha)
        if holds_light(path):
            self._save_light(path, layer, background, alpha, overwrite, encoding, background_colour)
            return
        if layer == "composite" and background is not None:
            pixels = self.composite(background, linear=linear, background_colour=background_colour)
        else:
            pixels = render_layer(layer, None, alpha=alpha)(self.matte)
        if path.suffix.lower() in NO_PROFILE_SUFFIXES and pixels.ndim == 3:
            pixels = pixels.copy()
            pixels[..., :3] = convert_colours(np.ascontiguousarray(pixels[..., :3]), self.icc_profile, None)
        write_image(
            path,
            pixels,
            icc_profile=self.icc_profile,
            overwrite=overwrite,
            quality=encoding.quality,
            premultiplied=alpha == "premultiplied",
            tags=self.tags,
        )

    def _save_light(
        self,
        path: Path,
        layer: str,
        background: Background | None,
        alpha: str,
        overwrite: bool,
        encoding: Encoding,
        background_colour: str | None,
    ) -> None:
        """Write one layer as EXR: light of the photo's primaries, which the file names."""
        self.colours.check_light(path)
        tags = self.tags
        if (own := self.colours.chromaticities) is not None:
            tags = replace(tags, chromaticities=own)
        elif self.icc_profile is not None and (named := self._name_primaries()) is not self:
            named._save_light(path, layer, background, alpha, overwrite, encoding, background_colour)
            return
        extra = encoding.channels if layer in ("cutout", "foreground", "composite") else ()
        with contextlib.ExitStack() as resources:
            backdrop = None
            if background is not None:
                opened = self._open_backdrop(background, self.transfer, background_colour)
                backdrop = resources.enter_context(contextlib.closing(opened))
            render = render_light(layer, backdrop, transfer=self.transfer, alpha=alpha, channels=extra)
            picture = render(self.matte)
        channels = 1 if picture.ndim == 2 else picture.shape[2] - len(extra)
        write_exr(
            path,
            picture,
            tags=tags,
            channels=extra,
            compression=encoding.compression,
            comments=describe_light(channels, premultiplied=alpha == "premultiplied"),
            overwrite=overwrite,
        )

    def _name_primaries(self) -> Cutout:
        """The same with the primaries of its profile among the tags; as sRGB of 16 bits if it has none."""
        profile = self.icc_profile
        if profile is None or same_colours(None, profile) or self.tags.chromaticities is not None:
            return self
        space = read_profile(profile)
        if space is not None and space.transfer is not None:
            return replace(self, tags=replace(self.tags, chromaticities=space.chromaticities))
        pixels, foreground = (
            convert_colours(to_depth(colours, np.uint16), profile, None)
            for colours in (self.matte.frame.pixels, self.matte.foreground)
        )
        frame = replace(self.matte.frame, pixels=pixels, alpha=None, sent=None)
        return replace(self, matte=replace(self.matte, frame=frame, foreground=foreground), icc_profile=None)


@takes_options(KeyerOptions)
@explaining_system_errors()
def matte_image(
    photo: PathLike | Pixels | Image.Image,
    plate: PlateLike | Sequence[PlateLike] | None = None,
    *,
    finish: Finish | None = None,
    on_note: Callable[[str], None] = log.warning,
    **options: Any,
) -> Cutout:
    """Cut the subject out of one photo.

    Args:
        photo: A picture file; RGB pixels ``(height, width, 3)`` of uint8 or uint16; or an image of Pillow's.
        plate: The picture of the empty set, likewise, or several in different light; None or ``"none"`` for a
            model that needs none.
        finish: The last step, as :class:`cleanplate.compositing.finish.Finish`; the default one if None.
        on_note: Receives notes for the user, in sentences; by default the log.
        options: The fields of :class:`cleanplate.vocabulary.KeyerOptions`: model, runtime, device, scale
            (``fine`` if not given), refine, align, shadow, keep, ignore ...

    Raises:
        CleanplateError: A file, a value or this machine does not allow it.
    """
    check_keywords("matte_image", options)
    keyer_options = KeyerOptions(**{**FILES, **options})
    check_needs(keyer_options)
    if is_word(plate, AUTO_PLATE):
        raise OptionError("A plate can be built from a clip, not from one photo.", "give a plate")
    picture = take_picture(photo)
    name = Path(photo).name if isinstance(photo, (str, os.PathLike)) else "The photo"
    loaded = None if plate is None or is_word(plate, NO_PLATE) else load_plates(plate)
    shadow, applied = plan_finish(keyer_options.shadow, finish)
    with contextlib.closing(open_keyer(loaded, keyer_options, shadow=shadow, on_note=on_note)) as keyer:
        return cut_out(picture, loaded, keyer, applied, on_note, name)


def cut_out(
    picture: Picture,
    plate: Plate | PlateSet | None,
    keyer: Keyer | RecurrentKeyer,
    finish: Finish,
    on_note: Callable[[str], None],
    name: str = "The photo",
) -> Cutout:
    """Key and finish one picture, independent of earlier pictures of the same keyer.

    Args:
        picture: The photo; its own alpha is used or ignored by the keyer's option.
        plate: For a blurred background.
        keyer: The keyer.
        finish: The last step.
        on_note: Receives notes for the user.
        name: Name of the photo in notes.
    """
    alpha = picture.alpha if picture.alpha is not None and _has_holes(picture.alpha) else None
    frame = picture.to_frame(alpha=alpha)
    if alpha is not None:
        on_note(describe_source_alpha(name, keyer.source_alpha))
    check_finish(finish, keyer)
    if isinstance(keyer, RecurrentKeyer):
        keyer.forget()
    else:
        for note in keyer.refit(frame).notes:
            on_note(note)
    matte = keyer(frame)
    if plate is not None and float(matte.alpha.max()) < EMPTY_ALPHA:
        on_note(f"The cut-out is empty: nothing in {name} differs from the plate.")
    cutout = Cutout(matte, plate, picture.icc_profile, picture.tags, keyer.plate_colour)
    told = describe_space(name, keyer.input_colour, picture.tags.space, cutout.colours)
    if told is not None:
        on_note(told)
    if finish.keep_shadow and cutout.colours.mixes_light:
        finish = replace(finish, transfer=cutout.transfer)
    return replace(cutout, matte=finish(matte))


def _has_holes(alpha: AnyArray) -> bool:
    return bool(alpha.min() < np.iinfo(alpha.dtype).max)


@takes_options(Job, KeyerOptions, without=["keyer"])
@explaining_system_errors()
def matte_video(
    clip: PathLike,
    plate: PlateLike | Sequence[PlateLike] | None = None,
    out: PathLike | None = None,
    *,
    finish: Finish | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_note: Callable[[str], None] = log.warning,
    **options: Any,
) -> Summary:
    """Cut the subject out of every frame of a clip: times, colour tags and sound stay as they are.

    Args:
        clip: A video file, or a numbered sequence such as ``name_%05d.png``.
        plate: The picture of the empty set: a file, RGB pixels or an image of Pillow's; several in different
            light, which are mixed for each frame; ``"auto"``, to build it from the clip; None or ``"none"``,
            for a model that needs none.
        out: The result's file, whose suffix chooses the format (``.mov``, ``.webm``, ``.mkv``,
            ``name_%05d.png``, and ``.mp4``, which has no alpha), or a folder; beside the clip if None.
        finish: The last step, as :class:`cleanplate.compositing.finish.Finish`; the default one if None.
        on_progress: Called about ten times a second, in this thread.
        on_note: Receives notes for the user, in sentences, in this thread; by default the log.
        options: The fields of :class:`cleanplate.jobs.Job`: ``save``, ``background``, ``alpha``, ``linear``,
            ``report``, ``overwrite``, ``resume``, ``reading`` and ``encoding``; and those of
            :class:`cleanplate.vocabulary.KeyerOptions`: ``model``, ``runtime``, ``device``, ``scale``
            (``fine`` if not given), ``refine``, ``align``, ``follow``, ``shadow``, ``keep``, ``ignore`` ...

    Raises:
        CleanplateError: A file, a value or this machine does not allow it. The finished part is
            kept in a folder beside the result, with a note, and ``resume`` continues it.
        KeyboardInterrupt: Likewise.
    """
    check_keywords("matte_video", options)
    # The fingerprint of a job, which identifies it when it is resumed, supports arrays and paths.
    given = {name: _unwrap(value) for name, value in options.items()}
    keyer = {entry.name: given.pop(entry.name) for entry in fields(KeyerOptions) if entry.name in given}
    job = Job(
        clip,
        _unwrap(plate),
        out,
        finish=finish or FinishOptions(),
        keyer=KeyerOptions(**{**CLIPS, **keyer}),
        **given,
    )
    return run_job(job, on_progress=on_progress, on_note=on_note)


def _unwrap(given: Any) -> Any:
    if isinstance(given, (list, tuple)):
        return type(given)(map(_unwrap, given))
    return take_picture(given).pixels if is_image(given) else given
