"""Kill jobs before changes of their files or at random moments, and resume each until it is done.

Run by ``test_resume.py`` in a process of its own, which has no threads and so may fork: the killed child has
imported everything already. The results are in ``FOLDER/0``, ``FOLDER/1`` ...

    python kill_session.py CLIP PLATE FOLDER OPTIONS random KILLS SEED
    python kill_session.py CLIP PLATE FOLDER OPTIONS changes FIRST STEP
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import cleanplate
import cleanplate.jobs
import cleanplate.runtimes.onnx_runtime
from cleanplate.jobs.checkpoint import Work

LONGEST_SECONDS = 0.7
"""A random kill comes within so much time of a start."""

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link"}

KILLED = 9

Start = Callable[[Path, int | None], int]


def start(clip: Path, plate: Path, options: dict[str, Any], out: Path, change: int | None) -> int:
    """Continue the job in a child, which ends itself before a change of its files; returns its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        if change is not None:
            sys.addaudithook(end_before(change, out.parent))
        cleanplate.matte_video(clip, plate, out, resume=True, on_note=lambda _: None, **options)
        code = 0
    finally:
        os._exit(code)


def end_before(change: int, folder: Path) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that ends the process, without any cleanup, before this change of a file in a folder."""
    numbers = count(1)

    def look(event: str, details: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR)
        if not (writes or event in CHANGES) or not isinstance(details[0], (str, os.PathLike)):
            return
        if str(folder) in os.fspath(details[0]) and next(numbers) == change:
            os._exit(KILLED)

    return look


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


def kill_at_random(begin: Start, next_result: Callable[[], Path], kills: int, seed: int) -> None:
    """Kill jobs a number of times in all, each one as often as it is begun and does not end."""
    dice = random.Random(seed)
    while kills > 0:
        out = next_result()
        status: int | None = None
        while status is None:
            child = begin(out, None)
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


def kill_before_changes(begin: Start, next_result: Callable[[], Path], first: int, step: int) -> None:
    """Kill a job once before every so-manieth change of its files, until one has no more changes."""
    for change in count(first, step):
        out = next_result()
        ends = [os.waitpid(begin(out, until), 0)[1] for until in (change, None)]
        codes = [os.waitstatus_to_exitcode(end) for end in ends]
        if codes[1] != 0 or codes[0] not in (0, KILLED):
            sys.exit(f"the job in {out.parent}, killed before change {change}, ended with {codes}")
        if codes[0] == 0:
            return


def main() -> None:
    clip, plate, folder = (Path(argument) for argument in sys.argv[1:4])
    options = json.loads(sys.argv[4])
    name, numbers = options.pop("out"), count()

    def next_result() -> Path:
        out = Path(folder, str(next(numbers)), name)
        out.parent.mkdir()
        return out

    kill = {"random": kill_at_random, "changes": kill_before_changes}[sys.argv[5]]
    kill(lambda out, change: start(clip, plate, options, out, change), next_result, *map(int, sys.argv[6:8]))
    sys.stdout.write(f"{next(numbers)}\n")


if __name__ == "__main__":
    main()
