"""Choice of the number of workers by cores, size and memory."""

from __future__ import annotations

from cleanplate.errors import spell
from cleanplate.system.cores import usable_cores
from cleanplate.system.memory import available_memory
from cleanplate.vocabulary.options import parse_workers

MEMORY_SHARE = 0.5
"""Share of the available memory for workers, at most."""

WORKER_BYTES = 70_000_000
"""Memory of a worker beside the arrays that grow with the frame."""

WORKER_BYTES_PER_PIXEL = 75
"""Memory of a worker that grows with the frame: maps of the networks, frames and mattes in work.

Measured with lite, ``--scale fine``: 70 to 170 MB for each further worker at 720p, 10 to 180 at 1080p, 220 to
690 at 4K (docs/performance.md).
"""

CLIP_BYTES, CLIP_SHARE = 2_000_000_000, 1 / 16
"""Memory of a clip's run, at most: two gigabytes, or this share of the available memory if that is more."""

FIRST_BYTES, FIRST_BYTES_PER_PIXEL = 250_000_000, 165
"""Memory of a clip's run with one worker; measured: 383 MB at 720p, 665 at 1080p, 1,630 at 4K."""

LEAST_BYTES_PER_PIXEL, LEAST_DEEP_BYTES_PER_PIXEL = 140, 225
"""The same for a note, from 8 bits and from more: 5.1 and 8.0 GB were measured at 8K."""

WORKERS_PER_COMPOSITOR = 4
"""Workers that one compositing thread serves: compositing takes a tenth of the processor time of a frame with
``--scale fine``, and about a sixth with ``auto`` (docs/performance.md)."""

COPIES = 2
"""Copies of the weights in a session: as read, and in the layout of the convolutions."""


def choose_workers(
    wanted: int | str,
    pixels: int,
    threads: int | None = None,
    *,
    model_bytes: int = 0,
    of_clip: bool = False,
) -> tuple[int, int]:
    """Choose the number of workers and the threads of each.

    One thread for each worker is the fastest, because small convolutions do not use several cores well. If
    the memory is too small for so many workers, there are fewer, with more threads each.

    Args:
        wanted: The user's number of workers, or ``auto``.
        pixels: Pixels of a frame.
        threads: CPU threads for all workers together; None: one per core.
        model_bytes: Size of the model's files.
        of_clip: Whether the memory of the whole run has to stay within that of a clip.

    Returns:
        Number of workers, and threads of each.
    """
    cores = threads or usable_cores()
    count = parse_workers(wanted)
    if count is not None:
        return count, max(1, cores // count)
    each = worker_bytes(pixels, model_bytes)
    memory = available_memory()
    count = cores if memory is None else max(1, min(cores, int(MEMORY_SHARE * memory) // each))
    if of_clip:
        limit = max(CLIP_BYTES, CLIP_SHARE * (memory or 0))
        first = FIRST_BYTES + FIRST_BYTES_PER_PIXEL * pixels
        count = min(count, 1 + max(0, int(limit - first) // each))
    count = cores // -(-cores // count)  # a number that leaves few cores idle
    return count, cores // count


def remind_of_memory(height: int, width: int, bit_depth: int, count: int, model_bytes: int = 0) -> str | None:
    """Note that the memory may not be enough for a clip; None if it is.

    A note and no error: the rest of the memory may be swapped, and estimates are those of one machine.

    Args:
        height: Height of a frame.
        width: Its width.
        bit_depth: Bits of a sample of the source.
        count: Number of workers.
        model_bytes: Size of the model's files.
    """
    pixels = height * width
    each = LEAST_BYTES_PER_PIXEL if bit_depth <= 8 else LEAST_DEEP_BYTES_PER_PIXEL
    needed = FIRST_BYTES + each * pixels + (count - 1) * worker_bytes(pixels, model_bytes)
    memory = available_memory()
    if memory is None or memory >= needed:
        return None
    told = (
        f"Frames of {width}x{height} take some {needed / 1e9:.1f} GB of memory, and {memory / 1e9:.1f} GB "
        "are available: the system may end this run."
    )
    return told if count == 1 else f"{told} {spell('--workers=1 takes less.')}"


def choose_compositors(workers: int) -> int:
    """Choose the number of threads that composite the mattes of so many workers."""
    return max(1, workers // WORKERS_PER_COMPOSITOR)


def worker_bytes(pixels: int, model_bytes: int = 0) -> int:
    """Estimate the memory of one worker."""
    return WORKER_BYTES + WORKER_BYTES_PER_PIXEL * pixels + COPIES * model_bytes
