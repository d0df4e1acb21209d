"""Sentences for errors of the operating system that are not faults of the program."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from cleanplate.errors import CleanplateError, InputError, UnavailableError

_ABOUT_FILES = {
    getattr(errno, name)
    for name in (
        *("EACCES", "EPERM", "EROFS", "ENAMETOOLONG", "ELOOP", "ENOSPC", "EDQUOT"),
        *("EIO", "ESTALE", "EMFILE", "ENFILE"),
    )
    if hasattr(errno, name)
}
_NO_PERMISSION = {errno.EACCES, errno.EPERM}

# Messages of ONNX Runtime, OpenCV, PyTorch and the C++ library for a lack of memory.
_OUT_OF_MEMORY = (
    "bad_alloc",
    "bad allocation",
    "failed to allocate memory",
    "insufficient memory",
    "can't allocate memory",
    "out of memory",
    "cannot allocate memory",
    "can't start new thread",
)


@contextmanager
def explaining_system_errors() -> Iterator[None]:
    """Turn a lack of memory, or of a permission, into a :class:`CleanplateError`."""
    try:
        yield
    except Exception as error:
        explained = explain_system_error(error)
        if explained is None:
            raise
        raise explained from error


def explain_system_error(error: Exception) -> CleanplateError | None:
    """Give the sentence for an error of the system; None for any other error."""
    if isinstance(error, (CleanplateError, BrokenPipeError)):
        return None
    if _is_out_of_memory(error):
        return UnavailableError(
            "The memory is not sufficient for this run.",
            "use smaller pictures, --scale=auto, or fewer at a time (--jobs=1)",
        )
    if isinstance(error, OSError) and error.filename is not None and error.errno in _ABOUT_FILES:
        reason = reason_of(error)
        hint = "check the permissions of the file and of its folders" if error.errno in _NO_PERMISSION else ""
        return InputError(f"{error.filename} cannot be used: {reason}.", hint)
    return None


def reason_of(error: Exception) -> str:
    """Give the reason of an error of the system or of FFmpeg, for the end of a sentence."""
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    text = str(error).lower()
    # PyTorch and ONNX Runtime raise RuntimeError; the other libraries have classes of their own.
    is_foreign = isinstance(error, RuntimeError) or type(error).__module__.split(".")[0] in (
        "cv2",
        "onnxruntime",
        "torch",
        "av",
    )
    return is_foreign and any(sign in text for sign in _OUT_OF_MEMORY)
