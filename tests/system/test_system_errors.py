"""Error messages for exhausted memory and missing permissions."""

from __future__ import annotations

import errno

import cv2
import numpy as np
import pytest

import cleanplate
from cleanplate.errors import InputError, UnavailableError
from cleanplate.system.system_errors import explain_system_error, explaining_system_errors


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("can't start new thread"),
        cv2.error("OpenCV(4.9.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes"),
    ],
)
def test_a_lack_of_memory_is_explained(error):
    assert isinstance(explain_system_error(error), UnavailableError)


def test_arrays_that_are_too_large_are_explained():
    with pytest.raises(UnavailableError, match="memory is not sufficient"), explaining_system_errors():
        np.empty((1 << 25, 1 << 25))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a fault of the program"),
        FileNotFoundError(errno.ENOENT, "No such file", "x"),
        ValueError("out of memory"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        InputError("x is empty."),
    ],
)
def test_other_errors_stay_as_they_are(error):
    with pytest.raises(type(error)) as caught, explaining_system_errors():
        raise error
    assert caught.value is error


def test_a_file_without_permission_is_named():
    explained = explain_system_error(PermissionError(errno.EACCES, "Permission denied", "locked/a.png"))
    assert isinstance(explained, InputError)
    assert explained.message == "locked/a.png cannot be used: permission denied."


def test_calls_from_python_explain_system_errors(monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("cleanplate.jobs.api.open_keyer", fail)
    with pytest.raises(UnavailableError):
        cleanplate.matte_image(np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8))
