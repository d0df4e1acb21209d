"""Copies to a device and back: exact, and no array changes while it is in use."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cleanplate.router.device_transfers import Traffic, Transfers  # noqa: E402


def make_pixels(seed: int, dtype: type = np.uint8, shape: tuple[int, ...] = (40, 60, 3)) -> Any:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(40, 60, 3), (37, 41), (1, 33, 35, 4)])
def test_arrays_survive_upload_and_download(device: Any, dtype: type, shape: tuple[int, ...]) -> None:
    transfers = Transfers(device)
    pixels = make_pixels(0, dtype, shape)
    tensor = transfers.send(pixels).take()
    assert tensor.device.type == device.type
    back = transfers.fetch(tensor)()
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, pixels)
    np.testing.assert_array_equal(transfers.bring(tensor), pixels)


def test_crops_and_read_only_arrays_are_uploaded(device: Any) -> None:
    """A crop is not contiguous, and a backdrop's picture is read-only."""
    pixels = make_pixels(1)[3:30, 5:50]
    pixels.flags.writeable = False
    transfers = Transfers(device)
    np.testing.assert_array_equal(transfers.fetch(transfers.send(pixels).take())(), pixels)


def test_a_sent_array_may_change(device: Any) -> None:
    transfers, pixels = Transfers(device), make_pixels(2)
    before = pixels.copy()
    sent = [transfers.send(pixels)]
    for value in range(4):
        pixels[:] = value
        sent.append(transfers.send(pixels))
    np.testing.assert_array_equal(transfers.bring(sent[0].take()), before)
    assert [int(transfers.bring(one.take()).max()) for one in sent[1:]] == [0, 1, 2, 3]


def test_later_downloads_do_not_overwrite_earlier_ones(device: Any) -> None:
    """Memory in use or being copied is not reused, however slowly it is consumed."""
    transfers = Transfers(device)
    fetched = [
        transfers.fetch(torch.full((256, 256, 3), value, dtype=torch.uint8, device=device))
        for value in range(40)
    ]
    arrays = [one() for one in fetched]
    assert len({array.ctypes.data for array in arrays}) == 40
    assert [(int(array.min()), int(array.max())) for array in arrays] == [(n, n) for n in range(40)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="streams are CUDA's")
def test_a_copy_is_synchronised_with_its_source_and_its_reader() -> None:
    """Long work before the download, and before sent pixels are received."""
    device = torch.device("cuda")
    transfers = Transfers(device)
    busy = torch.rand(4096, 4096, device=device)
    for seed in range(10):
        pixels = make_pixels(seed, shape=(1080, 1920, 3))
        sent = transfers.send(pixels)
        for _ in range(4):
            busy = (busy @ busy).clamp(0, 1)
        inverse = 255 - sent.take()
        np.testing.assert_array_equal(transfers.fetch(inverse)(), 255 - pixels)


def test_copied_bytes_of_all_threads_are_counted(device: Any) -> None:
    transfers, pixels = Transfers(device), make_pixels(3)

    def copy() -> None:
        for _ in range(50):
            transfers.fetch(transfers.send(pixels).take())()

    threads = [threading.Thread(target=copy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert transfers.traffic == Traffic(200, 200 * pixels.nbytes, 200, 200 * pixels.nbytes)
