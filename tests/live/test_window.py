"""Display and keys of the window: on SDL's dummy screen, and on X11 if available."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from cleanplate.errors import MissingExtraError, UnavailableError
from cleanplate.live import overlay
from cleanplate.live.controls import Board, Controls
from cleanplate.live.live_run import Live
from cleanplate.live.views import VIEWS, render_view
from cleanplate.media.cameras import preview
from cleanplate.plate import Plate


@pytest.fixture
def shown(open_session, room):
    return open_session(Plate(room.empty)).see(room.frame(40))


def test_every_view_shows_its_layer(shown):
    source, result = shown.frame.pixels, shown.result
    assert np.array_equal(render_view(shown, "source"), source)
    assert np.array_equal(render_view(shown, "result"), result)
    alpha = render_view(shown, "alpha")
    assert alpha[60, 50].tolist() == [255] * 3
    assert alpha[5, 5].tolist() == [0] * 3
    split = render_view(shown, "split")
    assert np.array_equal(split[:, :60], source[:, :60])
    assert np.array_equal(split[:, 70:], result[:, 70:])
    mirrored = render_view(shown, "split", mirrored=True)
    assert np.array_equal(mirrored[:, :60], source[:, ::-1][:, :60])
    assert np.array_equal(mirrored[:, 70:], result[:, ::-1][:, 70:])


@pytest.mark.parametrize("view", VIEWS)
def test_views_are_writable_copies(shown, view):
    before = shown.result.copy(), shown.frame.pixels.copy()
    render_view(shown, view)[:] = 7
    assert np.array_equal(shown.result, before[0])
    assert np.array_equal(shown.frame.pixels, before[1])


@pytest.mark.parametrize("view", VIEWS)
def test_without_a_plate_every_view_is_the_source(open_session, room, view):
    shown = open_session().see(room.frame(40))
    assert np.array_equal(render_view(shown, view), shown.frame.pixels)


def test_an_empty_background_is_a_chequered_pattern(open_session, room):
    shown = open_session(Plate(room.empty), backgrounds=("transparent",)).see(room.frame(40))
    picture = render_view(shown, "result")
    assert {tuple(pixel) for pixel in picture[:25].reshape(-1, 3).tolist()} == {(102,) * 3, (153,) * 3}
    assert np.array_equal(picture[60, 50], shown.frame.pixels[60, 50])


@pytest.mark.parametrize("place", overlay.PLACES)
def test_text_is_drawn_inside_of_the_picture(place):
    picture = np.full((360, 640, 3), 100, np.uint8)
    overlay.write(picture, ["Step out of the picture", "now"], place)
    rows, columns = np.nonzero((picture != 100).any(axis=2))
    assert (picture > 200).any()
    middle = (rows.mean() / 360, columns.mean() / 640)
    assert (middle[0] < 0.3, middle[0] > 0.7) == (place == "top left", place == "bottom")
    assert (middle[1] < 0.45) == place.endswith("left")
    tiny = np.full((40, 40, 3), 100, np.uint8)
    overlay.write(tiny, ["something that is much wider than the picture"] * 9, place)
    untouched = np.zeros((40, 40, 3), np.uint8)
    overlay.write(untouched, [], place)
    assert not untouched.any()


@pytest.fixture(params=["dummy", "x11"])
def window(request, monkeypatch):
    pygame = pytest.importorskip("pygame")
    if request.param == "x11" and not os.environ.get("DISPLAY"):
        pytest.skip("there is no X11 display; under xvfb-run there is")
    monkeypatch.setenv("SDL_VIDEODRIVER", request.param)
    opened = preview.Window("cleanplate", 180, 320)
    yield opened
    opened.close()
    opened.close()
    assert not pygame.display.get_init()


def test_a_window_shows_its_picture(window):
    pygame = window._pygame
    picture = np.zeros((180, 320, 3), np.uint8)
    picture[:, :160] = (250, 10, 20)
    window.show(picture)
    surface = pygame.surfarray.array3d(pygame.display.get_surface())
    width, height = surface.shape[:2]
    assert abs(width / height - 320 / 180) < 0.02
    assert surface[width // 4, height // 2].tolist() == [250, 10, 20]
    assert surface[3 * width // 4, height // 2].tolist() == [0, 0, 0]
    # Of another aspect, with bars beside it.
    window.show(np.full((180, 180, 3), 200, np.uint8))
    surface = pygame.surfarray.array3d(pygame.display.get_surface())
    assert surface[2, height // 2].tolist() == list(preview.SURROUND)
    assert surface[width // 2, height // 2].tolist() == [200] * 3


def test_keys_have_their_character_or_name(window):
    pygame = window._pygame
    window.read_keys()
    for key, text in (
        (pygame.K_b, "B"),
        (pygame.K_PLUS, "+"),
        (pygame.K_TAB, "\t"),
        (pygame.K_ESCAPE, "\x1b"),
    ):
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=text, mod=0, scancode=0))
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    keys = window.read_keys()
    assert [key for key in keys if key in ("b", "+", "tab", "escape", preview.CLOSED)] == [
        *("b", "+", "tab", "escape"),
        preview.CLOSED,
    ]


def test_without_a_display_the_hint_names_the_option_without_a_window(monkeypatch):
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "nosuch")
    with pytest.raises(UnavailableError, match=r"no.window"):
        preview.Window("cleanplate", 180, 320)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have a display always")
def test_without_a_display_no_invisible_window_is_opened(monkeypatch, capfd):
    pytest.importorskip("pygame")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UnavailableError, match=r"there is no display\. .*no.window"):
        preview.Window("cleanplate", 180, 320)
    assert capfd.readouterr().err == ""


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pygame", None)
    with pytest.raises(MissingExtraError, match=r"cleanplate\[live\]"):
        preview.Window("cleanplate", 180, 320)


class FakeWindow:
    def __init__(self):
        self.keys, self.picture = [], None

    def read_keys(self):
        keys, self.keys = self.keys, []
        return keys

    def show(self, pixels):
        self.picture = pixels


class FakeRecorder:
    def __init__(self):
        self.did, self.seconds = [], None

    def still(self, _):
        self.did.append("still")

    def start(self, *, transparent):
        self.did.append(f"start {transparent}")
        self.seconds = 0.0

    def stop(self):
        self.did.append("stop")
        self.seconds = None


@pytest.fixture
def desk(open_session, room, camera):
    """Controls with fakes of all their parts."""
    session = open_session(Plate(room.empty))
    window, recorder, board = FakeWindow(), FakeRecorder(), Board()
    controls = Controls(window, session, recorder, board)
    live = Live(camera, session, recorder)
    controls.attach(live)

    def press(*keys):
        window.keys = list(keys)
        controls.hear()
        while live._orders:
            live._orders.popleft()()
        controls.show(session.see(room.frame(40)))
        return window.picture

    return SimpleNamespace(
        press=press, window=window, recorder=recorder, board=board, live=live, session=session
    )


def test_keys_change_the_view(desk):
    desk.press("o")  # without figures
    assert desk.press()[5, 5].tolist() == [0, 255, 0]
    assert desk.press("v")[5, 5].tolist() != [0, 255, 0]
    assert desk.press("tab")[5, 5].tolist() == [0, 0, 0]
    assert desk.press("1")[5, 5].tolist() == [0, 255, 0]
    alpha = desk.press("3")
    assert np.array_equal(desk.press("m")[:, ::-1], alpha)


def test_figures_help_and_messages_are_drawn(desk):
    plain = desk.press("o", "3").copy()
    assert not np.array_equal(desk.press("o")[:30], plain[:30])
    assert not np.array_equal(desk.press("o", "h")[30:60], plain[30:60])
    desk.press("h")
    desk.board.say("The plate is taken.")
    assert not np.array_equal(desk.press()[70:], plain[70:])
    assert desk.board.read() == ["The plate is taken."]
    assert desk.board.read() == []


def test_keys_start_and_stop_the_recording(desk):
    desk.press()
    desk.press("r", "s")
    desk.press("r")
    assert desk.recorder.did == ["start False", "still", "stop"]


def test_keys_control_the_session(desk):
    desk.press("g")
    assert desk.board.read() == []  # the session of these tests reports it elsewhere
    desk.press("+", "f")
    assert desk.session.quality_control.quality.scale == pytest.approx(0.3125)
    assert desk.session.quality_control.quality.refine == "off"
    desk.press("b")
    assert desk.session.stage.value == "countdown"


@pytest.mark.parametrize("key", ["q", "escape", preview.CLOSED])
def test_closing_the_window_ends_the_session(desk, key):
    desk.press(key)
    assert desk.live._ending.is_set()
