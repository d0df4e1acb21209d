"""Pipes in the place of files: standard input and output, written ``-``, and named pipes (FIFOs).

A pipe is read once, from its start, and written in order. All waiting can be interrupted, also from another
thread, because the program at the other end may pause for hours.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import sys
import time
from pathlib import Path

from cleanplate.errors import InputError, OutputError
from cleanplate.system.system_errors import reason_of

STANDARD = "-"
"""Name of standard input and standard output on the command line."""

TICK_SECONDS = 0.1
"""Time between two looks at a request to stop. Data are passed on at once."""

PARTING_SECONDS = 1.0
"""Time for the last bytes of an interrupted stream, if the reader is slow."""

MOST_BYTES = 512 << 20
"""Limit of a picture on a pipe: a PNG of 100 million pixels with 16 bits and alpha has less."""

_CHUNK = 1 << 20
_KEPT = 4096
_ENDING = 16


def is_standard(path: object) -> bool:
    """Tell whether a path is the word for standard input or output."""
    return isinstance(path, (str, os.PathLike)) and os.fspath(path) == STANDARD


def is_pipe(path: object) -> bool:
    """Tell whether a path is standard input or output, or a named pipe."""
    if is_standard(path):
        return True
    if not isinstance(path, (str, os.PathLike)):
        return False
    with contextlib.suppress(OSError, ValueError):
        return stat.S_ISFIFO(Path(path).stat().st_mode)
    return False


def name_input(path: Path) -> Path:
    """Name of a source in messages: ``stdin`` for ``-``."""
    return Path("stdin") if is_standard(path) else path


def name_output(path: Path) -> Path:
    """Name of a result in messages: ``stdout`` for ``-``."""
    return Path("stdout") if is_standard(path) else path


def writes_to_stdout(path: str | os.PathLike[str] | None) -> bool:
    """Tell whether data for this path arrive at standard output: ``-``, or ``/dev/stdout`` of a pipe."""
    if path is None or is_standard(path) or not is_pipe(path):
        return is_standard(path)
    with contextlib.suppress(OSError):
        return os.path.samestat(Path(path).stat(), os.fstat(1))
    return False


class PipeReader:
    """Reads a pipe as a file object for FFmpeg: ``read`` returns at least one byte until the end.

    Opening waits for the first bytes. An exception inside of FFmpeg's call would be lost, so that Ctrl-C
    and errors are kept, end the stream, and are raised by :meth:`check`.

    Args:
        path: ``-`` or a named pipe.

    Attributes:
        beginning: The first bytes, up to 4096.
        ending: The last bytes so far, up to 16.
        total: Bytes that were read.
        at_end: Whether the other end was closed.

    Raises:
        InputError: It is a terminal, cannot be opened, or ends without a byte.
    """

    def __init__(self, path: Path) -> None:
        self._name = name_input(path)
        self._file: int | None = _open_for_reading(path)
        self._stopped = False
        self._error: BaseException | None = None
        self.total = 0
        self.ending = b""
        self.at_end = False
        self._waiting = b""
        try:
            self._waiting = self._receive(_CHUNK, patient=not is_standard(path))
        except BaseException:
            self.close()
            raise
        self.beginning = self._waiting[:_KEPT]
        if not self._waiting:
            self.close()
            raise InputError(f"{self._name} is empty: it ended before the first byte.")

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes (all if negative); none at the end, after an error, or if interrupted."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_CHUNK), b""))
        try:
            data = self._waiting[:size] or self._receive(size)
            self._waiting = self._waiting[size:]
            self.total += len(data)
            self.ending = (self.ending + data[-_ENDING:])[-_ENDING:]
        except (OSError, KeyboardInterrupt) as error:
            self._error = error
            self._stopped = True
            return b""
        return data

    def check(self) -> None:
        """Raise the exception of an earlier call of :meth:`read`.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            InputError: The pipe cannot be read.
        """
        error, self._error = self._error, None
        if isinstance(error, OSError):
            raise InputError(f"{self._name} cannot be read: {reason_of(error)}.") from error
        if error is not None:
            raise error

    def interrupt(self) -> None:
        """End the stream for the reading thread; may be called from another one."""
        self._stopped = True

    def close(self) -> None:
        """Close this end: the writer then gets an error."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _receive(self, size: int, *, patient: bool = False) -> bytes:
        """Wait for bytes.

        Args:
            size: Largest number.
            patient: Whether an end without a byte is that of a named pipe whose writer has not come yet.
        """
        began = time.monotonic()
        while not self._stopped and self._file is not None:
            if not _wait(self._file, select.POLLIN if _CAN_POLL else 0):
                continue
            with contextlib.suppress(BlockingIOError):
                data = os.read(self._file, min(size, _CHUNK))
                if data or not patient or time.monotonic() - began > _NO_WRITER_SECONDS:
                    self.at_end = not data
                    return data
                time.sleep(0.01)
        return b""


_NO_WRITER_SECONDS = 0.0 if sys.platform.startswith("linux") else 5.0
"""Time in which an empty named pipe counts as one without a writer; Linux tells the difference itself."""


class PipeWriter:
    """Writes to a pipe as a file object for FFmpeg: ``write`` takes all bytes.

    Args:
        path: ``-`` or a named pipe; opening one waits for its reader.

    Attributes:
        total: Bytes that were written.

    Raises:
        OutputError: It is a terminal, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._name = name_output(path)
        self._file: int | None = _open_for_writing(path)
        self._deadline: float | None = None
        self._stopped = False
        self._error: BaseException | None = None
        self.total = 0

    def write(self, data: bytes) -> int:
        """Write all of the data; nothing any more after an error or an interruption."""
        view = memoryview(data)
        try:
            while view and self._may_write():
                done = self._send(view)
                view = view[done:]
                self.total += done
        except (OSError, KeyboardInterrupt) as error:
            self._error = self._error or error
            self._stopped = True
        return len(data)

    def check(self) -> None:
        """Raise the exception of an earlier call of :meth:`write`.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            BrokenPipeError: The reader has closed its end.
            OSError: It cannot be written.
        """
        if self._error is not None:
            raise self._error

    @property
    def failed(self) -> bool:
        """True if a write has failed."""
        return self._error is not None

    def interrupt(self) -> None:
        """End a write that waits; may be called from another thread."""
        self._deadline = self._deadline or time.monotonic() + PARTING_SECONDS

    def close(self) -> None:
        """Close this end, which is the end of the stream for the reader."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _may_write(self) -> bool:
        if self._stopped or self._file is None:
            return False
        return self._deadline is None or time.monotonic() < self._deadline

    def _send(self, view: memoryview) -> int:
        if self._file is None or not _wait(self._file, select.POLLOUT if _CAN_POLL else 0):
            return 0
        try:
            return os.write(self._file, view[:_CHUNK] if self._is_free() else view[: select.PIPE_BUF])
        except BlockingIOError:
            return 0

    def _is_free(self) -> bool:
        """Tell whether a large write returns when the pipe is full, or there is no pipe and no wait."""
        if not _CAN_POLL or self._file is None:
            return True
        return not os.get_blocking(self._file) or not stat.S_ISFIFO(os.fstat(self._file).st_mode)


_CAN_POLL = hasattr(select, "poll")


def _wait(file: int, event: int) -> bool:
    """Wait a moment until the file is ready; True where the system cannot tell."""
    if not _CAN_POLL:
        return True
    poll = select.poll()
    poll.register(file, event)
    return bool(poll.poll(1000 * TICK_SECONDS))


def read_all(path: Path) -> bytes:
    """All bytes of a pipe.

    Raises:
        InputError: It cannot be read, is empty, or has more than :data:`MOST_BYTES`.
    """
    with contextlib.closing(PipeReader(path)) as reader:
        parts = []
        while part := reader.read(_CHUNK):
            parts.append(part)
            if reader.total > MOST_BYTES:
                raise InputError(
                    f"{name_input(path)} has more than {MOST_BYTES >> 20} MB, too much for a picture."
                )
        reader.check()
        return b"".join(parts)


def write_all(path: Path, data: bytes) -> None:
    """Write the only data of a pipe.

    Raises:
        OutputError: It cannot be written.
        BrokenPipeError: The reader has closed its end.
    """
    with contextlib.closing(PipeWriter(path)) as writer:
        writer.write(data)
        try:
            writer.check()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"{name_output(path)} cannot be written: {reason_of(error)}.") from error


def _open_for_reading(path: Path) -> int:
    if not is_standard(path):
        try:
            return os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {reason_of(error)}.") from error
    if sys.__stdin__ is None:  # file 0 may be another one by now
        raise InputError("stdin is closed, so there is nothing to read.")
    file = os.dup(0)
    if os.isatty(file):
        os.close(file)
        raise InputError(
            "stdin is a terminal, not a stream of pictures.",
            "pipe it in: ffmpeg -i clip.mp4 -f nut - | cleanplate",
        )
    _set_binary(file)
    _enlarge(file)
    return file


def _open_for_writing(path: Path) -> int:
    if not is_standard(path):
        return _open_named(path)
    if sys.__stdout__ is None:  # file 1 may be another one by now
        raise OutputError("stdout is closed, so nothing can be written to it.")
    file = os.dup(1)
    if os.isatty(file):
        os.close(file)
        raise OutputError(
            "stdout is a terminal, which cannot show pictures.",
            "pipe it on: cleanplate ... -o - | ffmpeg -i -",
        )
    _set_binary(file)
    _enlarge(file)
    if sys.platform.startswith("linux") and stat.S_ISFIFO(os.fstat(file).st_mode):
        # Opened again, because a flag on the duplicate would hold for all programs that share stdout.
        with contextlib.suppress(OSError):
            again = os.open(f"/proc/self/fd/{file}", os.O_WRONLY | os.O_NONBLOCK)
            os.close(file)
            return again
    return file


def _open_named(path: Path) -> int:
    """Open a named pipe as soon as it has a reader."""
    while (file := _try_to_open(path)) is None:
        time.sleep(TICK_SECONDS)
    _enlarge(file)
    return file


def _try_to_open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise OutputError(f"{path} cannot be written: {reason_of(error)}.") from error


def _enlarge(file: int) -> None:
    """Let the pipe hold a megabyte instead of 64 kB, where the system allows it."""
    if sys.platform.startswith("linux"):
        import fcntl

        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, _CHUNK)


def _set_binary(file: int) -> None:
    """Switch off the translation of line ends, which Windows has for every file."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(file, os.O_BINARY)
