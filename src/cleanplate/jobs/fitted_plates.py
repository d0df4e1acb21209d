"""The plate of each frame of a clip, as the keyer uses it, written as a sequence or a clip.

Programs that key by themselves (``integrations/nuke``) thus get a plate that is registered to each frame and
has its light.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from cleanplate.compositing.layers import encode_layer
from cleanplate.compositing.linear_layers import render_light
from cleanplate.errors import OptionError
from cleanplate.jobs.job import AUTO_PLATE, is_word
from cleanplate.keyer.keyer import Keyer
from cleanplate.media import Encoding, open_sink, open_source
from cleanplate.media.guard import check_files
from cleanplate.media.locks import lock_outputs
from cleanplate.plate import load_plate
from cleanplate.vocabulary import KeyerOptions

LAYER = "foreground"
"""Layer as which the plate is written: colour without alpha."""


def write_fitted_plates(
    clip: Path,
    plate: Path,
    out: Path,
    options: KeyerOptions | None = None,
    *,
    overwrite: bool = False,
    on_progress: Callable[[int, int | None], None],
    on_note: Callable[[str], None],
) -> int:
    """Fit the plate to each frame of a clip, and write it.

    Frames are keyed on the way, because the fit takes the subject of the last matte into account; the plates
    are those of a run with the same options.

    Args:
        clip: Video file, or a sequence.
        plate: Picture of the empty set.
        out: Sequence or video file; EXR gets linear light.
        options: Options of the keyer; None for the default ones.
        overwrite: Replace existing pictures.
        on_progress: Receives the number of frames so far, and the expected one.
        on_note: Receives notes for the user, in sentences.

    Returns:
        The number of frames.

    Raises:
        OptionError: The model uses no plate, or the plate is a word.
        InputError, PlateError: The clip cannot be read, or the plate does not suit it.
        OutputError: A result exists or cannot be written.
    """
    if is_word(plate, AUTO_PLATE):
        raise OptionError(
            "'plate fit' needs a picture of the empty set, not 'auto'.", "build one: cleanplate plate build"
        )
    check_files([clip, plate], [out])
    with contextlib.ExitStack() as resources:
        resources.enter_context(lock_outputs([out]))
        keyer = resources.enter_context(contextlib.closing(Keyer(load_plate(plate), options)))
        source = resources.enter_context(contextlib.closing(open_source(clip)))
        info = replace(source.info, has_audio=False)
        encoding = encode_layer(Encoding(), out, None)
        sink = open_sink(out, info, layer=LAYER, overwrite=overwrite, audio=False, encoding=encoding)
        undo = resources.enter_context(contextlib.ExitStack())
        undo.callback(sink.abort)
        to_light = render_light(LAYER, None, transfer=info.transfer)
        frames = 0
        for frame in source:
            matte = keyer(replace(frame, light=None))
            fitted = frame.pixels if matte.plate is None else matte.plate
            shown = replace(matte, alpha=np.ones_like(matte.alpha), foreground=fitted)
            sink.write(to_light(shown) if sink.takes_light else fitted, frame)
            frames += 1
            if frames == 1 and keyer.fit is not None:
                for note in keyer.fit.notes:
                    on_note(note)
            on_progress(frames, info.frame_count)
        undo.pop_all()
        sink.close()
        for note in (*source.notes, *sink.notes):
            on_note(note)
    return frames
