"""Limit of the memory of the frames inside a pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from cleanplate.jobs.pipeline.stages import QUEUE_DEPTH
from cleanplate.jobs.pipeline.worker_count import choose_compositors
from cleanplate.media.contract import CHANNELS, SourceInfo

ALPHA_BYTES = 4

QUEUED_BYTES = 32_000_000
"""Bytes of the frames in one queue: one frame of 4K, or several of HD to even out the speeds of stages."""


def queue_depth(like: SourceInfo) -> int:
    """Frames that may wait between two stages."""
    return max(1, min(QUEUE_DEPTH, QUEUED_BYTES // _frame_bytes(like)))


def bytes_in_flight(like: SourceInfo, layers: Sequence[str], workers: int = 1) -> int:
    """Upper bound of the memory of frames, mattes and pictures between source and sinks.

    The network's own memory and the frames inside encoders are not counted. Neither grows with the clip.

    Args:
        like: Size and depth of the frames.
        layers: Layers to write, each with its own sink.
        workers: Frames that are keyed at the same time.
    """
    pixels, frame = like.height * like.width, _frame_bytes(like)
    depth = queue_depth(like)
    # Bytes of a matte: alpha, foreground, and the plate, if it moves from frame to frame.
    matte = ALPHA_BYTES * pixels + 2 * frame
    # Each stage holds its input and its output, and some wait in the queue between two stages.
    frames, pictures = depth + 2, depth + 2
    mattes = depth + 3  # one more: before and after the last step
    if workers > 1:  # one more waits for a worker
        mattes += workers + 1
    compositors = choose_compositors(workers)
    if compositors > 1:  # those in work, before and after the last step, and one that waits
        mattes += 2 * compositors + 1
        pictures += compositors + 1
    total = (frames + mattes) * frame + mattes * matte
    for layer in layers:
        total += pictures * (CHANNELS[layer] * frame // 3 + frame)
    return total


def _frame_bytes(like: SourceInfo) -> int:
    return 3 * (1 if like.bit_depth == 8 else 2) * like.height * like.width
