"""One writer for each result: a lock file beside it, ``.cut.mov.lock``, that names its owner.

The file is created exclusively, which local and network file systems do in one step, and removed at the end.
A killed run leaves it behind: on the same machine the next run detects that the owner has ended and takes
the lock over. Another machine cannot detect this; it refuses, with the owner and the file in the message,
unless the owner beats, that is, touches its locks all the time: it has ended after five minutes without.

An advisory lock of the system (``flock``, which the library filelock uses) ends together with its owner, but
some network file systems keep it on one machine only, or ignore it without an error. It has no owner's name.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import platform
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cleanplate.errors import OutputError
from cleanplate.media.files import reporting_write_errors
from cleanplate.system.pipes import is_pipe

PATIENCE_SECONDS = 2.0
"""Seconds to wait for an incomplete lock; its owner writes it in well under a millisecond."""

BEAT_SECONDS = 20.0
"""Time between two calls of :func:`beat`."""

LOST_SECONDS = 300.0
"""Time without a beat after which an owner on another machine has ended. Network file systems may show a time
that is a minute old."""

_BEATS = "beats-"
"""Beginning of the token of an owner that beats."""

_adopted: set[str] = set()


@dataclass(frozen=True)
class Owner:
    """Owner of a lock.

    Attributes:
        host: Name of the machine.
        machine: Its identifier; empty without one.
        boot: Identifies the time since the machine was started.
        space: Identifies the container within which ``pid`` counts.
        pid: The process.
        start: Its start time in the system's own units, because process numbers are reused.
        since: Time of the lock, for users.
        token: Unique text of this lock.
    """

    host: str
    machine: str
    boot: str
    space: str
    pid: int
    start: str
    since: str
    token: str

    @property
    def may_run(self) -> bool:
        """True if the owner runs, or its state is unknown here."""
        here = this_process()
        if (self.host, self.machine) != (here.host, here.machine):
            return True
        if self.boot != here.boot:
            return False
        return self.space != here.space or _start_of(self.pid) == self.start

    @property
    def is_elsewhere(self) -> bool:
        """True if this process cannot see if the owner runs: on another machine, or in another container."""
        here = this_process()
        return (self.host, self.machine, self.space) != (here.host, here.machine, here.space)


def this_process() -> Owner:
    """This process as the owner of a new lock."""
    space = ""
    with contextlib.suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - text
    return Owner(
        host=platform.node(),
        machine=_read_line(Path("/etc/machine-id")),
        boot=_read_line(Path("/proc/sys/kernel/random/boot_id")),
        space=space,
        pid=os.getpid(),
        start=_start_of(os.getpid()) or "",
        since=time.strftime("%Y-%m-%d %H:%M:%S"),
        token=uuid.uuid4().hex,
    )


def adopt(token: str) -> None:
    """Allow this process to write the results that its parent has locked under this token."""
    _adopted.add(token)


@contextlib.contextmanager
def lock_outputs(paths: Iterable[Path], *, beats: bool = False, token: str | None = None) -> Iterator[str]:
    """Lock these results against other runs; yields the token for :func:`adopt`.

    With ``beats``, the caller calls :func:`beat` every :data:`BEAT_SECONDS`. ``token`` is that of locks which
    this process has already.

    Nothing is locked in missing or read-only folders, because no result can be written there, and no pipe.

    Raises:
        OutputError: Another run is writing one of them.
    """
    owner = this_process()
    if token is not None:
        owner = replace(owner, token=token)
    elif beats:
        owner = replace(owner, token=f"{_BEATS}{owner.token}")
    with contextlib.ExitStack() as held:
        for path in dict.fromkeys(path for path in paths if not is_pipe(path)):
            with reporting_write_errors(path), contextlib.suppress(PermissionError):
                if path.parent.is_dir():
                    before = _acquire(path, owner)
                    held.callback(_release, lock_path(path), owner, before)
        yield owner.token


def is_held(path: Path, token: str) -> bool:
    """Tell whether a result is locked under this token."""
    owner = _read_owner(path)
    return owner is not None and owner.token == token


def is_taken(path: Path) -> bool:
    """Tell whether a result is locked by another process than this one."""
    owner, here = _read_owner(path), this_process()
    if owner is None:
        return False
    theirs, ours = ((one.host, one.machine, one.space, one.pid, one.start) for one in (owner, here))
    return theirs != ours


def beat(paths: Iterable[Path], token: str) -> None:
    """Show other machines that the owner of these locks runs; each was held before.

    Raises:
        OutputError: Another run has taken a lock over, because this process stood still for minutes.
    """
    for path in paths:
        owner = _read_owner(path)
        if owner is not None and owner.token != token:
            raise OutputError(
                f"{path} was taken over by another run: process {owner.pid} on {owner.host}, "
                f"since {owner.since}.",
                "this machine was probably suspended; run the command again with --resume",
            )
        with contextlib.suppress(OSError):
            os.utime(lock_path(path))


def lock_path(path: Path) -> Path:
    """Path of the lock of a result."""
    return path.with_name(f".{path.name}.lock")


def find_owner(path: Path) -> Owner | None:
    """Owner of the lock of a result; None without a lock, for an incomplete one, or an ended owner."""
    owner = _read_owner(path)
    if owner is None or not owner.may_run or _is_lost(lock_path(path), owner, time.time()):
        return None
    return owner


def _read_owner(path: Path) -> Owner | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Owner(**json.loads(lock_path(path).read_text(encoding="utf-8")))
    return None


def _acquire(path: Path, owner: Owner) -> Owner | None:
    """Take a lock; returns the owner from whom it was adopted, for giving it back."""
    file = lock_path(path)
    while True:
        with contextlib.suppress(FileExistsError):
            _create(file, json.dumps(asdict(owner)))
            return None
        found = _read(file)
        if isinstance(found, Owner) and found.token in _adopted:
            _replace(file, replace(owner, token=found.token))
            return found
        if isinstance(found, Owner) and found.may_run and not _is_lost(file, found):
            raise OutputError(
                f"{path} is being written by another run: process {found.pid} on {found.host}, "
                f"since {found.since}.",
                f"wait for it or choose another name; if it does not run any more, remove {file}",
            )
        if found is not None:
            _remove_dead(file, found)


def _is_lost(file: Path, owner: Owner, now: float | None = None) -> bool:
    """Tell whether an owner elsewhere has stopped beating; ``now`` is the file system's clock."""
    if not owner.is_elsewhere or not owner.token.startswith(_BEATS):
        return False
    try:
        beaten = file.stat().st_mtime
        return (_clock_of(file) if now is None else now) - beaten > LOST_SECONDS
    except OSError:
        return False


def _clock_of(file: Path) -> float:
    """Time of the file system, which is that of a server."""
    fresh = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}")
    _create(fresh, "")
    try:
        return fresh.stat().st_mtime
    finally:
        fresh.unlink(missing_ok=True)


def _create(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.write(descriptor, text.encode())
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _replace(file: Path, owner: Owner) -> None:
    fresh = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}")
    _create(fresh, json.dumps(asdict(owner)))
    fresh.replace(file)


def _read(file: Path) -> Owner | str | None:
    """The owner; the file's text if it has no owner even after a while; or None without a file."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        with contextlib.suppress(ValueError, TypeError):
            return Owner(**json.loads(text))
        if time.monotonic() > deadline:
            return text
        time.sleep(0.02)


def _remove_dead(file: Path, seen: Owner | str) -> None:
    """Remove a lock whose owner has ended, unless another run has just taken it over."""
    taking = file.with_name(f"{file.name}.taking")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            _create(taking, "")
            break
        except FileExistsError:
            if time.monotonic() > deadline:  # left by a run that was killed within this function
                taking.unlink(missing_ok=True)
            time.sleep(0.02)
    try:
        runs = isinstance(seen, Owner) and seen.may_run and not _is_lost(file, seen)
        if _read(file) == seen and not runs:
            file.unlink(missing_ok=True)
            # Files that a kill in _replace has left.
            for left in file.parent.glob(f"{glob.escape(file.name)}.{'[0-9a-f]' * 8}"):
                left.unlink(missing_ok=True)
    finally:
        taking.unlink(missing_ok=True)


def _release(file: Path, owner: Owner, before: Owner | None) -> None:
    if os.getpid() != owner.pid:  # a forked copy holds nothing
        return
    with contextlib.suppress(OSError):
        found = _read(file)
        if isinstance(found, Owner) and found.token == (before or owner).token:
            if before is None:
                file.with_name(f"{file.name}.taking").unlink(missing_ok=True)  # by a kill in _remove_dead
                file.unlink(missing_ok=True)
            else:
                _replace(file, before)


def _read_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _start_of(pid: int) -> str | None:
    """Start time of a process; empty if the system gives none, None if it does not run."""
    system = sys.platform  # a variable, so that all ways are type-checked
    if system.startswith("linux"):
        # After the name, which may contain brackets: the state, and as the 20th field the start.
        fields = _read_line(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        return None if len(fields) < 20 or fields[0] in "ZX" else fields[19]
    if system == "win32":
        import ctypes

        kernel: Any = vars(ctypes)["windll"].kernel32  # os.kill would end the process there
        handle = kernel.OpenProcess(0x1000, False, pid)
        code = ctypes.c_ulong()
        runs = bool(handle) and kernel.GetExitCodeProcess(handle, ctypes.byref(code)) and code.value == 259
        kernel.CloseHandle(handle)
        return "" if runs else None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""
