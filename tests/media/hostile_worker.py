"""Reads hostile files in a process of its own, so that a crash, a hang or growth can be seen from outside.

Each line of stdin is a JSON object ``{"path", "span", "damage", "out"}``; each line of stdout tells what
became of it: ``{"outcome", "frames", "seconds", "peak_mib"}``.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from pathlib import Path

import av

from cleanplate.errors import CleanplateError
from cleanplate.media import Reading, Span, open_sink, open_source
from cleanplate.media.contract import Source

MOST_FRAMES = 200


def read(source: Source, out: str | None) -> int:
    """All frames, also into a file with the sound; how many there were."""
    frames = 0
    with contextlib.ExitStack() as stack:
        sink = None
        if out:
            sink = open_sink(out, source.info, layer="composite", overwrite=True)
            stack.callback(sink.abort)
        for frame in source:
            frames += 1
            assert frame.pixels.shape == (source.info.height, source.info.width, 3)
            assert frame.index == frames - 1
            assert frames <= MOST_FRAMES, "more frames than there can be"
            if sink is not None:
                sink.write(frame.pixels, frame)
        if sink is not None and frames:
            sink.close()
    return frames


def try_file(path: str, span: str | None, damage: str, out: str | None) -> tuple[str, int]:
    reading = Reading(span=Span.parse(span) if span else None, damage=damage)
    frames = 0
    try:
        with open_source(path, reading) as source:
            frames = read(source, out)
            assert all(len(note) < 2000 for note in source.notes)
            assert len(source.notes) < 20
    except CleanplateError as error:
        return type(error).__name__, frames
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"{type(error).__module__}.{type(error).__name__}: {error}", frames
    finally:
        for left in (out, out and str(Path(out).with_name(f"{Path(out).stem}.partial{Path(out).suffix}"))):
            if left:
                Path(left).unlink(missing_ok=True)
    return "read", frames


def main() -> None:
    av.logging.set_level(None)
    limit = 8 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        began = time.monotonic()
        outcome, frames = try_file(**json.loads(line))
        peak = peak_mib()
        told = {"outcome": outcome, "frames": frames, "seconds": time.monotonic() - began, "peak_mib": peak}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def peak_mib() -> float:
    """The most that this program has held; Linux's ``ru_maxrss`` remembers the process that started it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
