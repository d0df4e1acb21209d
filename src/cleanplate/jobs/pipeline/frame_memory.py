"""Limit of the memory of the frames inside a pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from cleanplate.jobs.pipeline.stages import QUEUE_DEPTH
from cleanplate.media.contract import CHANNELS, SourceInfo

ALPHA_BYTES = 4

QUEUED_BYTES = 32_000_000
"""Of frames in one queue: of 4K, one waits; of HD, as many as even the speeds of two stages out."""


def queue_depth(like: SourceInfo) -> int:
    """Frames that may wait between two stages."""
    return max(1, min(QUEUE_DEPTH, QUEUED_BYTES // _frame_bytes(like)))


def bytes_in_flight(like: SourceInfo, layers: Sequence[str]) -> int:
    """The most that the frames, mattes and pictures between source and sinks occupy.

    The network's own memory and what encoders hold back comes to that; neither grows with the clip's length.

    Args:
        like: Its size and depth.
        layers: What is written, each layer by a sink of its own.
    """
    pixels, frame = like.height * like.width, _frame_bytes(like)
    depth = queue_depth(like)
    # Of a matte: alpha, foreground, and the plate under it, if that moves from frame to frame.
    matte = ALPHA_BYTES * pixels + 2 * frame
    # Each stage holds one thing while it makes another, and between two stages some wait.
    frames, pictures = depth + 2, depth + 2
    mattes = depth + 3  # one more: before and after the last touch
    total = (frames + mattes) * frame + mattes * matte
    for layer in layers:
        total += pictures * (CHANNELS[layer] * frame // 3 + frame)
    return total


def _frame_bytes(like: SourceInfo) -> int:
    return 3 * (1 if like.bit_depth == 8 else 2) * like.height * like.width
