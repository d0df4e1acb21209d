"""A real server in a process of its own, on a free port."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.waiting import find_children

import cleanplate

SOURCE = Path(cleanplate.__file__).parents[1]

TOKEN, OTHER_TOKEN = "a-token-for-the-tests-1", "a-token-for-the-tests-2"


class RunningService:
    """A server, and the lines that it has written to stderr."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self._log = process, log
        assert process.stdout is not None
        watchdog = threading.Timer(600, process.kill)
        watchdog.start()
        self.url = process.stdout.readline().strip()
        watchdog.cancel()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", self.url), self.log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(600)


def find_clip_processes(running: RunningService) -> list[int]:
    """Ids of the processes that key clips: those with an open file of a job. Reads /proc."""

    def opens_job(process: int) -> bool:
        with contextlib.suppress(OSError):
            files = [str(file.readlink()) for file in Path(f"/proc/{process}/fd").iterdir()]
            return any("/service/jobs/" in file for file in files)
        return False

    return [child for child in find_children(running.process.pid) if opens_job(child)]


def limit_files(most: int) -> None:
    """Let files of this process, and of its children, grow to so many bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


@contextlib.contextmanager
def run_service(
    folder: Path,
    *options: str,
    tokens: Sequence[str] = (TOKEN, OTHER_TOKEN),
    file_bytes: int | None = None,
) -> Iterator[RunningService]:
    """Start a server with its folder in ``folder``; it is ended with the block.

    Args:
        folder: For the service's folder, its log and its tokens.
        options: For ``cleanplate serve``.
        tokens: Its tokens; may be empty.
        file_bytes: Largest file that the server and its children can write: RLIMIT_FSIZE.
    """
    (folder / "tokens").write_text("# one a line\n" + "\n\n".join(tokens), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "cleanplate",
        "serve",
        "--port",
        "0",
        "--folder",
        str(folder / "service"),
    ]
    command += [*options, *(["--token-file", str(folder / "tokens")] if tokens else [])]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "CLEANPLATE_TOKEN": ""}
    log = folder / "log"
    with log.open("a", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
            cwd=folder,
            preexec_fn=None if file_bytes is None else partial(limit_files, file_bytes),
        )
    try:
        yield RunningService(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert process.stdout is not None
        process.stdout.close()
