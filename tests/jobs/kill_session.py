"""Kill jobs at random moments, and resume each until it is done.

Run by ``test_resume.py`` in a process of its own, which has no threads and so may fork: the killed child has
imported everything already. The results are in ``FOLDER/0``, ``FOLDER/1`` ...

    python kill_session.py CLIP PLATE FOLDER KILLS SEED OPTIONS
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import cleanplate
import cleanplate.jobs
import cleanplate.runtimes.onnx_runtime
from cleanplate.jobs.checkpoint import Work

LONGEST_SECONDS = 0.7
"""A kill comes within so much time of a start."""


def start(clip: Path, plate: Path, out: Path, options: dict[str, Any]) -> int:
    """Continue the job in a child; returns its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        cleanplate.matte_video(clip, plate, out, resume=True, on_note=lambda _: None, **options)
        code = 0
    finally:
        os._exit(code)


def wait(child: int, out: Path, dice: random.Random) -> int | None:
    """Wait for a random moment; returns the child's status if it ends before."""
    # Some moments are in the short last steps: joining, renaming, clearing up.
    at_the_end = dice.random() < 0.3
    until = time.monotonic() + (60 if at_the_end else dice.uniform(0.05, LONGEST_SECONDS))
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        left = Work(out).read()
        if at_the_end and left is not None and left.complete:
            until = min(until, time.monotonic() + dice.uniform(0, 0.05))
            at_the_end = False
        time.sleep(0.001)  # the moment is random: no event is waited for
    return None


def main() -> None:
    clip, plate, folder = (Path(argument) for argument in sys.argv[1:4])
    kills, dice, options = int(sys.argv[4]), random.Random(int(sys.argv[5])), json.loads(sys.argv[6])
    name = options.pop("out")
    jobs = 0
    while kills > 0:
        out = folder / str(jobs) / name
        out.parent.mkdir()
        jobs += 1
        status: int | None = None
        while status is None:
            child = start(clip, plate, out, options)
            if kills > 0:
                status = wait(child, out, dice)
            if status is None and kills > 0:
                os.kill(child, signal.SIGKILL)
                kills -= 1
                ended = os.waitpid(child, 0)[1]
                status = ended if ended != signal.SIGKILL else None
            elif status is None:
                status = os.waitpid(child, 0)[1]
        if status != 0:
            sys.exit(f"the job in {out.parent} ended with {status}")
    sys.stdout.write(f"{jobs}\n")


if __name__ == "__main__":
    main()
