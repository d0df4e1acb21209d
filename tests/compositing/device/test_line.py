"""Runs with frames on the device, compared with runs through main memory.

On the CPU mattes are forced to stay; only the copies differ from those of a GPU.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.waiting import wait_until

pytest.importorskip("torch")

from cleanplate import Keyer, matte_video
from cleanplate.compositing.device.device_matte import DeviceMatte
from cleanplate.compositing.device.device_path import DeviceLine
from cleanplate.compositing.finish import Finish
from cleanplate.compositing.layers import render_layer
from cleanplate.compositing.still_backdrops import ColourBackdrop
from cleanplate.errors import OptionError
from cleanplate.frame import Frame
from cleanplate.jobs.pipeline import QUEUE_DEPTH, Output, Summary, run
from cleanplate.media import Encoding, SourceInfo, read_image, write_image
from cleanplate.models.registry import Model
from cleanplate.router.torch_router import TorchRouter

pytestmark = pytest.mark.usefixtures("torch_loads_tiny")

FRAMES = 6


def paint(index: int, height: int, width: int, dtype: type) -> tuple[Any, Any]:
    """Paint a plate with detail, and a frame with a disc farther to the right."""
    top = np.iinfo(dtype).max
    rng = np.random.default_rng(0)
    plate = cv2.GaussianBlur(rng.random((height, width, 3)).astype(np.float32), (0, 0), 1.5) * 0.6
    y, x = np.mgrid[:height, :width]
    place = width * (0.2 + 0.1 * index)
    subject = np.clip(height / 4 - np.hypot(y - height / 2, x - place), 0, 1)[..., None]
    frame = plate * (1 - subject) + subject * np.array([0.9, 0.8, 0.95])
    return (frame * top).astype(dtype), (plate * top).astype(dtype)


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., tuple[Path, Any]]:
    """Write a numbered sequence, exact in 8 and 16 bits, and its plate."""

    def make(height: int = 96, width: int = 160, dtype: type = np.uint8) -> tuple[Path, Any]:
        for index in range(FRAMES):
            write_image(tmp_path / f"clip_{index:05d}.png", paint(index, height, width, dtype)[0])
        return tmp_path / "clip_%05d.png", paint(0, height, width, dtype)[1]

    return make


@pytest.fixture
def matte_both_ways(tiny_model: Model, tmp_path: Path, device: Any) -> Callable[..., Any]:
    """Run a clip through main memory and through the device; give the pictures of both."""

    def both(clip: Path, plate: Any, **options: Any) -> Iterator[tuple[str, Any, Any]]:
        folders = {}
        for stays in (False, True):
            folders[stays] = tmp_path / f"stays_{stays}"
            folders[stays].mkdir()
            matte_video(
                clip, plate, folders[stays] / "cut_%05d.png", runtime="torch", device=device.type,
                precision="float32", on_device=stays, on_note=lambda _: None,
                **{"model": tiny_model, **options},
            )  # fmt: skip
        names = sorted(path.name for path in folders[False].iterdir())
        assert names == sorted(path.name for path in folders[True].iterdir())
        assert len(names) >= FRAMES
        for name in names:
            pictures = [read_image(folders[stays] / name) for stays in (True, False)]
            channels = [
                picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])
                for picture in pictures
            ]
            yield name, *channels

    return both


LAYERS = ["cutout", "alpha", "foreground", "composite"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(96, 160), (83, 101)])
def test_every_layer_equals_main_memory(size: Any, dtype: type, make_clip: Any, matte_both_ways: Any) -> None:
    clip, plate = make_clip(*size, dtype)
    for name, pixels, expected in matte_both_ways(clip, plate, save=LAYERS, background="#00b140"):
        assert pixels.dtype == expected.dtype == dtype, name
        assert np.abs(pixels.astype(int) - expected).max() <= (1 if dtype == np.uint8 else 2), name


@pytest.mark.parametrize("background", ["blur", "picture", "video"])
def test_every_backdrop_equals_main_memory(
    background: str, make_clip: Any, matte_both_ways: Any, tmp_path: Path
) -> None:
    clip, plate = make_clip()
    files = {"picture": tmp_path / "behind.png", "video": tmp_path / "behind_%05d.png"}
    write_image(files["picture"], paint(3, 200, 300, np.uint8)[0])
    for index in range(3):
        write_image(tmp_path / f"behind_{index:05d}.png", np.full((96, 160, 3), 60 * index, np.uint8))
    for name, pixels, expected in matte_both_ways(clip, plate, background=files.get(background, background)):
        assert pixels.shape[2] == 3
        assert np.abs(pixels.astype(int) - expected).max() <= 1, name


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": "premultiplied"},
        {"finish": Finish(despill=0.5, choke_pixels=0.5, blur_pixels=1, gamma=1.2), "save": LAYERS[:3]},
        {"align": False, "refine": "full"},
    ],
    ids=["premultiplied", "finish", "unaligned"],
)
def test_every_option_equals_main_memory(options: Any, make_clip: Any, matte_both_ways: Any) -> None:
    clip, plate = make_clip()
    for name, pixels, expected in matte_both_ways(clip, plate, **options):
        assert np.abs(pixels.astype(int) - expected).max() <= 2, name


def test_empty_frames_and_the_report(make_clip: Any, matte_both_ways: Any, tmp_path: Path) -> None:
    clip, plate = make_clip()
    for index in range(FRAMES):
        write_image(tmp_path / f"clip_{index:05d}.png", plate, overwrite=True)
    report = tmp_path / "report.json"
    for name, pixels, expected in matte_both_ways(clip, plate, report=report, overwrite=True):
        assert not pixels.any(), name
        np.testing.assert_array_equal(pixels, expected)
    assert report.read_text().count('"changed": 0.0,') == FRAMES


def test_without_a_plate(make_clip: Any, matte_both_ways: Any, tiny_recurrent_model: Model) -> None:
    clip, _ = make_clip(83, 101)
    options = {"model": tiny_recurrent_model, "save": LAYERS, "background": "#00b140"}
    for name, pixels, expected in matte_both_ways(clip, None, **options):
        assert pixels[..., -1].std() > 1, name
        assert np.abs(pixels.astype(int) - expected).max() <= 1, name


def test_code_values_of_a_source_of_floats(make_clip: Any, matte_both_ways: Any, tmp_path: Path) -> None:
    """Its frames have light, which no sink of this test takes."""
    _, plate = make_clip(dtype=np.uint16)
    for index in range(FRAMES):
        write_image(tmp_path / f"light_{index:05d}.exr", paint(index, 96, 160, np.uint16)[0])
    options = {"save": LAYERS, "background": "#00b140"}
    for name, pixels, expected in matte_both_ways(tmp_path / "light_%05d.exr", plate, **options):
        assert pixels.dtype == np.uint16, name
        assert np.abs(pixels.astype(int) - expected).max() <= 2, name


@pytest.fixture
def separate_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a device with its own memory, where mattes stay by default."""
    start = TorchRouter.__init__

    def start_apart(self: Any, *arguments: Any) -> None:
        start(self, *arguments)
        self.is_apart = True

    monkeypatch.setattr(TorchRouter, "__init__", start_apart)


@pytest.mark.usefixtures("separate_memory")
@pytest.mark.parametrize(
    ("name", "options", "refused"),
    [
        ("cut_%05d.png", {"save": ["cutout", "shadow"]}, "cannot stay on the device with a shadow"),
        ("cut_%05d.png", {"save": ["cutout", "error"]}, "maps of error and refinement"),
        ("cut_%05d.png", {"linear": True, "background": "blur"}, "give no linear light"),
        ("cut_%05d.exr", {"encoding": Encoding(channels=("error",))}, "give no linear light"),
    ],
    ids=["shadow", "error", "linear", "exr"],
)
def test_options_of_main_memory_move_the_run_there(
    name: str, options: Any, refused: str, make_clip: Any, tiny_model: Model, tmp_path: Path
) -> None:
    clip, plate = make_clip()
    arguments = {"model": tiny_model, "runtime": "torch", "device": "cpu", "on_note": lambda _: None}
    folders = [tmp_path / "unasked", tmp_path / "in_main_memory"]
    for folder, choice in zip(folders, ({}, {"on_device": False}), strict=True):
        folder.mkdir()
        matte_video(clip, plate, folder / name, **arguments, **options, **choice)
    names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    assert names[0] == names[1]
    assert len(names[0]) == FRAMES * len(options.get("save", ["one"]))
    for path in names[0]:
        pictures = [read_image(folder / path) for folder in folders]
        np.testing.assert_array_equal(pictures[0].pixels, pictures[1].pixels)
        if pictures[0].light is not None:
            np.testing.assert_array_equal(pictures[0].light, pictures[1].light)
    with pytest.raises(OptionError, match=refused):
        matte_video(clip, plate, tmp_path / name, on_device=True, **arguments, **options)


@pytest.fixture
def make_keyer(tiny_model: Model, device: Any) -> Callable[..., Keyer]:
    def make(**options: Any) -> Keyer:
        chosen = {"runtime": "torch", "device": device.type, "precision": "float32", **options}
        plate = chosen.pop("plate", paint(0, 96, 160, np.uint8)[1])
        return Keyer(plate, model=tiny_model, **chosen)

    return make


def test_a_keyer_returns_arrays_by_default(make_keyer: Any) -> None:
    pixels = paint(2, 96, 160, np.uint8)[0]
    usual = make_keyer()
    assert usual.device_router is None
    matte = usual(pixels)
    assert type(matte.alpha) is type(matte.foreground) is np.ndarray
    stays = make_keyer(on_device=True)(pixels)
    assert isinstance(stays, DeviceMatte)
    back = stays.to_host()
    np.testing.assert_array_equal(back.alpha, matte.alpha)
    np.testing.assert_array_equal(back.foreground, matte.foreground)
    np.testing.assert_array_equal(back.plate, matte.plate)


def test_a_small_alpha_is_enough_to_update_the_plate(make_keyer: Any) -> None:
    """Frames are larger than the copies for learning; nothing is learned at the subject."""
    pixels, plate = paint(2, 301, 641, np.uint8)
    dimmed = (plate * 0.9).astype(np.uint8)
    plates = []
    for stays in (False, True):
        keyer = make_keyer(plate=dimmed, on_device=stays, follow=True)
        for index in range(8):
            matte = keyer(Frame(pixels, index, Fraction(1, 2), index=index))
        plates.append(matte.plate.astype(int))
    subject = np.abs(pixels.astype(int) - plate).max(axis=2) > 60
    assert np.abs(plates[0] - pixels)[subject].mean() > 60
    assert np.abs(plates[0] - plates[1]).max() <= 1


def test_mattes_stay_by_default_only_on_devices_with_their_own_memory(
    make_keyer: Any, device: Any, request: pytest.FixtureRequest
) -> None:
    assert (make_keyer(on_device=None).device_router is not None) == (device.type == "cuda")
    request.getfixturevalue("separate_memory")
    assert make_keyer(on_device=None).device_router is not None
    assert make_keyer(on_device=None, maps=True).device_router is None
    assert make_keyer(on_device=None, shadow="separate").device_router is None
    assert make_keyer(on_device=None, keep="rect:0,0,0.1,0.1").device_router is None
    assert make_keyer().device_router is None


@pytest.mark.parametrize(
    "options",
    [
        {"shadow": "keep"},
        {"maps": True},
        {"ignore": "rect:0,0,1,0.1"},
        {"runtime": "onnx", "device": "cpu", "precision": "auto"},
    ],
)
def test_options_of_main_memory_are_refused_on_a_device(options: Any, make_keyer: Any) -> None:
    with pytest.raises(OptionError, match="cannot stay on the device"):
        make_keyer(on_device=True, **options)


class Source:
    """Painted frames in a cycle."""

    def __init__(self, count: int) -> None:
        self.info = SourceInfo(Path("clip.mp4"), 96, 160, frame_count=count)
        self.notes: list[str] = []
        self.count = count
        self.pictures = [paint(index, 96, 160, np.uint8)[0] for index in range(FRAMES)]

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.count):
            yield Frame(self.pictures[index % FRAMES].copy(), index, Fraction(1, 25), index=index)


class Sink:
    """Slow sink that keeps its pictures and fetches them at the end."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.path = Path("cut.mov")
        self.notes: list[str] = []
        self.kept: list[tuple[int, Any]] = []
        self.finished: list[str] = []
        self.fail_at = fail_at

    def write(self, pixels: Any, at: Frame) -> None:
        if at.index == self.fail_at:
            raise OSError("disk full")
        time.sleep(0.005)  # a slow encoder
        self.kept.append((at.index, pixels))

    def close(self) -> None:
        self.finished.append("close")

    def abort(self) -> None:
        self.finished.append("abort")


@pytest.fixture
def run_line(make_keyer: Any) -> Callable[..., tuple[Summary, Any]]:
    def start(source: Source, sinks: dict[str, Sink], backdrop: Any = None, **options: Any) -> Any:
        keyer = make_keyer(on_device=True, align=False)
        line = DeviceLine(keyer.device_router, Finish())
        outputs: list[Any] = [
            Output(line.render_layer(layer, backdrop), sink) for layer, sink in sinks.items()
        ]
        prepare = options.pop("prepare", line.upload)
        summary = run(source, keyer, outputs, prepare=prepare, finish=line.finish, **options)
        return summary, keyer.device_router.transfers.traffic

    before = set(threading.enumerate())
    yield start
    # Those of earlier tests may end.
    wait_until(lambda: set(threading.enumerate()) <= before, "end of the threads", seconds=60)


def test_a_slow_sink_gets_every_frame_whole_and_in_order(run_line: Any, make_keyer: Any) -> None:
    sinks = {"cutout": Sink(), "composite": Sink()}
    source, backdrop = Source(24), ColourBackdrop((0, 177, 64))
    summary, traffic = run_line(source, sinks, backdrop)
    assert summary.frames == 24
    keyer, finish = make_keyer(align=False), Finish()
    mattes = [finish(keyer(pixels)) for pixels in source.pictures]
    for layer, sink in sinks.items():
        expected = [render_layer(layer, backdrop)(matte) for matte in mattes]
        assert [index for index, _ in sink.kept] == list(range(24))
        assert len({pixels.ctypes.data for _, pixels in sink.kept}) == 24
        for index, pixels in sink.kept:
            assert np.abs(pixels.astype(int) - expected[index % FRAMES]).max() <= 1
        assert sink.finished == ["close"]
    # Up: each frame, the plate for the network and the refiner, the backdrop once.
    assert traffic.sent == 24 + 2 + 1
    # Down: finished pixels, and alpha for the plate's tracker, 480 pixels wide at most.
    assert traffic.fetched == (2 + 1) * 24
    assert traffic.fetched_bytes == 24 * 96 * 160 * (4 + 3 + 4)


def test_a_backdrop_that_changes_its_array_is_uploaded_again(run_line: Any) -> None:
    class Clock:
        pixels = np.zeros((96, 160, 3), np.uint8)

        def __call__(self, frame: Frame) -> Any:
            self.pixels[:] = frame.index
            return self.pixels

        def close(self) -> None: ...

    sink = Sink()
    run_line(Source(8), {"composite": sink}, Clock())
    assert [int(pixels[0, 0, 0]) for _, pixels in sink.kept] == list(range(8))


def test_frames_on_the_device_are_bounded(run_line: Any) -> None:
    source, most = Source(40), 0
    sink = Sink()
    begun = 0

    def count(frame: Frame) -> Frame:
        nonlocal begun, most
        begun += 1
        most = max(most, begun - len(sink.kept))
        return frame

    run_line(source, {"alpha": sink}, prepare=count)
    assert most <= 3 * QUEUE_DEPTH + 4


@pytest.mark.parametrize("stage", ["prepare", "render", "encode"])
def test_an_error_ends_the_run(stage: str, run_line: Any) -> None:
    class Broken(ColourBackdrop):
        def __call__(self, frame: Frame) -> Any:
            if frame.index == 5:
                raise OSError("disk full")
            return super().__call__(frame)

    def prepare(frame: Frame) -> Frame:
        if frame.index == 5:
            raise OSError("disk full")
        return frame

    sink = Sink(fail_at=5 if stage == "encode" else None)
    backdrop = Broken((1, 2, 3)) if stage == "render" else ColourBackdrop((1, 2, 3))
    options = {"prepare": prepare} if stage == "prepare" else {}
    with pytest.raises(OSError, match="disk full"):
        run_line(Source(100), {"composite": sink}, backdrop, **options)
    assert sink.finished == ["abort"]
    assert len(sink.kept) <= 5


def test_ctrl_c_ends_the_run(run_line: Any) -> None:
    sink = Sink()

    def interrupt(progress: Any) -> None:
        if progress.frames > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_line(Source(10**6), {"cutout": sink}, on_progress=interrupt)
    assert sink.finished == ["abort"]
    assert len(sink.kept) > 3
