from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleanplate.errors import InputError, OptionError, OutputError
from cleanplate.frame import Frame
from cleanplate.media import Encoding, Reading, SourceInfo, open_sink, open_source, read_image, write_image
from cleanplate.media.numbering import is_sequence, numbered_files


def write_numbers(folder: Path, numbers: list[int], pixels: np.ndarray, name: str = "a_%03d.png") -> Path:
    for number in numbers:
        write_image(folder / (name % number), pixels + np.uint8(number % 32))
    return folder / name


def test_valid_patterns_are_recognised() -> None:
    assert is_sequence(Path("a_%05d.png"))
    assert is_sequence(Path("%d.png"))
    assert not is_sequence(Path("a_00001.png"))
    assert not is_sequence(Path("%d_%d.png"))


def test_numbers_are_matched_as_printf_writes_them(tmp_path: Path) -> None:
    for name in ("a_1.png", "a_001.png", "a_0002.png", "a_999.png", "a_1000.png", "b_003.png", "a_004.jpg"):
        (tmp_path / name).touch()
    assert list(numbered_files(tmp_path / "a_%03d.png")) == [1, 999, 1000]
    assert list(numbered_files(tmp_path / "a_%d.png")) == [1, 999, 1000]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_sequence_is_a_source(tmp_path: Path, picture: Any, dtype: type) -> None:
    pixels = picture(40, 50, 0.0, dtype) // 2
    pattern = write_numbers(tmp_path, [8, 9, 10, 11], pixels)
    with open_source(pattern, Reading(frame_rate=Fraction(24000, 1001))) as source:
        info = source.info
        frames = list(source)
        assert source.notes == []
    assert (info.height, info.width, info.bit_depth) == (40, 50, 8 if dtype == np.uint8 else 16)
    assert (info.frame_count, info.first_number, info.has_audio) == (4, 8, False)
    assert [f.time_seconds for f in frames] == [i * Fraction(1001, 24000) for i in range(4)]
    assert all(np.array_equal(f.pixels, pixels + 8 + i) for i, f in enumerate(frames))


def test_the_rate_is_25_unless_given(tmp_path: Path, picture: Any) -> None:
    pattern = write_numbers(tmp_path, [0], picture(40, 50) // 2)
    assert open_source(pattern).info.frame_rate == 25
    with pytest.raises(OptionError, match="above 0, got 0"):
        open_source(pattern, Reading(frame_rate=Fraction(0)))


def test_gaps_are_named_and_leave_the_rest_where_it_was(tmp_path: Path, picture: Any) -> None:
    pattern = write_numbers(tmp_path, [1, 2, 4, 8, 9], picture(40, 50) // 2)
    with open_source(pattern) as source:
        assert source.notes == ["a_%03d.png has gaps: 3, 5 to 7 are missing."]
        frames = list(source)
    assert [f.pts for f in frames] == [0, 1, 3, 7, 8]
    assert [f.index for f in frames] == [0, 1, 2, 3, 4]


def test_a_suffix_in_other_case_is_a_fallback(tmp_path: Path) -> None:
    for name in ("a_1.png", "a_1.PNG", "a_2.Png", "A_3.png"):
        (tmp_path / name).touch()
    found = numbered_files(tmp_path / "a_%d.png")
    assert {number: path.name for number, path in found.items()} == {1: "a_1.png", 2: "a_2.Png"}


def test_numbers_without_padding_and_huge_ones(tmp_path: Path, picture: Any) -> None:
    pattern = write_numbers(tmp_path, [9, 10, 99, 100], picture(40, 50) // 2, "a%d.png")
    with open_source(pattern) as source:
        assert source.notes == ["a%d.png has gaps: 11 to 98 are missing."]
        assert [f.pts for f in source] == [0, 1, 90, 91]
    pattern = write_numbers(tmp_path, [20991231235958, 20991231235960], picture(40, 50) // 2, "t%d.png")
    with open_source(pattern) as source:
        assert source.notes == ["t%d.png has gaps: 20991231235959 is missing."]
        assert [f.pts for f in source] == [0, 2]
        sink = open_sink(tmp_path / "out%d.png", source.info, layer="foreground")
    sink.write(picture(40, 50), Frame(picture(40, 50), 2, source.info.time_base))
    assert (tmp_path / "out20991231235960.png").is_file()
    write_numbers(tmp_path, [10**30], picture(40, 50) // 2, "t%d.png")
    with pytest.raises(InputError, match="no sequence is that long"):
        open_source(pattern)


def test_folders_with_names_of_pictures_are_skipped(tmp_path: Path, picture: Any) -> None:
    pattern = write_numbers(tmp_path, [1, 3], picture(40, 50) // 2)
    (tmp_path / "a_002.png").mkdir()
    with open_source(pattern) as source:
        assert [f.pts for f in source] == [0, 2]
    (tmp_path / "b_%03d.png").mkdir()
    with pytest.raises(InputError, match=r"b_%03d\.png is a folder"):
        open_source(tmp_path / "b_%03d.png")


def test_mistakes_are_input_errors(tmp_path: Path, picture: Any) -> None:
    with pytest.raises(InputError, match=r"no pictures .*a_%03d\.png"):
        open_source(tmp_path / "a_%03d.png")
    with pytest.raises(InputError, match="no pictures"):
        open_source(tmp_path / "missing" / "a_%03d.png")
    pattern = write_numbers(tmp_path, [1], picture(40, 50) // 2)
    write_image(tmp_path / "a_002.png", picture(40, 60))
    with pytest.raises(InputError, match=r"a_002\.png is 60x40, but the sequence began with 50x40"):
        list(open_source(pattern))
    write_image(tmp_path / "a_002.png", picture(40, 50, 0.0, np.uint16), overwrite=True)
    with pytest.raises(InputError, match=r"a_002\.png has uint16 samples"):
        list(open_source(pattern))


def like(**changes: Any) -> SourceInfo:
    return SourceInfo(**({"path": Path("clip.mp4"), "height": 40, "width": 50} | changes))


@pytest.mark.parametrize(
    ("suffix", "dtype"), [(".png", np.uint8), (".png", np.uint16), (".tif", np.uint16), (".webp", np.uint8)]
)
def test_cut_outs_are_exact(tmp_path: Path, picture: Any, suffix: str, dtype: type) -> None:
    rgba = np.dstack([picture(40, 50, 0.0, dtype), picture(40, 50, 1.0, dtype)[..., 2]])
    with open_sink(tmp_path / f"a_%04d{suffix}", like()) as sink:
        for i in range(3):
            sink.write(rgba, Frame(rgba[..., :3].copy(), 512 * i, Fraction(1, 12800), 512, i))
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a_{i:04d}{suffix}" for i in range(3)]
    shown = read_image(tmp_path / f"a_0002{suffix}")
    assert np.array_equal(shown.pixels, rgba[..., :3])
    assert shown.alpha is not None
    assert np.array_equal(shown.alpha, rgba[..., 3])


def test_a_sequence_keeps_its_numbers(tmp_path: Path, picture: Any) -> None:
    pattern = write_numbers(tmp_path, [1001, 1003], picture(40, 50) // 2, "in_%d.png")
    source = open_source(pattern)
    with open_sink(tmp_path / "out_%05d.jpg", source.info, layer="composite") as sink:
        for frame in source:
            sink.write(frame.pixels, frame)
    assert sorted(p.name for p in tmp_path.glob("out*")) == ["out_01001.jpg", "out_01003.jpg"]


def test_wrong_sequences_are_refused(tmp_path: Path, picture: Any) -> None:
    pattern = write_numbers(tmp_path, [7], picture(40, 50) // 2)
    with pytest.raises(OutputError, match=r"a_007\.png exists already"):
        open_sink(pattern, like())
    with pytest.raises(OutputError, match="JPEG has no alpha"):
        open_sink(tmp_path / "b_%03d.jpg", like())
    with pytest.raises(OutputError, match="no suffix of a picture format"):
        open_sink(tmp_path / "b_%03d.psd", like())
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file, so"):
        open_sink(tmp_path / "file" / "b_%03d.png", like())
    with pytest.raises(OptionError, match="takes no codec"):
        open_sink(tmp_path / "b_%03d.png", like(), encoding=Encoding(codec="png"))
    with pytest.raises(OutputError, match="got no frame"):
        open_sink(tmp_path / "b_%03d.png", like()).close()


def test_sound_that_is_lost_is_noted(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "a_%03d.png", like(has_audio=True))
    assert sink.notes == ["a_%03d.png is a sequence of pictures and has no sound."]
    assert sink.abort() is None


def test_an_interrupted_sequence_keeps_its_pictures(tmp_path: Path, picture: Any) -> None:
    sink = open_sink(tmp_path / "a_%03d.png", like(), layer="alpha")
    sink.write(picture(40, 50)[..., 0], Frame(picture(40, 50)))
    assert sink.abort() == tmp_path / "a_%03d.png"
    assert read_image(tmp_path / "a_000.png").pixels.shape == (40, 50, 3)


@pytest.mark.parametrize(
    ("names", "given", "pattern"),
    [
        (["s.0001.png", "s.0002.png", "note.txt"], "", "s.%04d.png"),
        (["s0999.png", "s1000.png", "other.png"], "", "s%04d.png"),
        (["7.jpg", "10.jpg"], "", "%d.jpg"),
        (["s.0001.png"], "s.####.png", "s.%04d.png"),
    ],
)
def test_a_folder_and_hashes_name_the_pattern(names, given, pattern, tmp_path):
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError) as caught:
        open_source(tmp_path / given)
    assert caught.value.hint == f"name its numbered pictures as {tmp_path / pattern}"


def test_a_folder_without_numbered_pictures_names_no_pattern(tmp_path):
    with pytest.raises(InputError, match="is a folder") as caught:
        open_source(tmp_path)
    assert not caught.value.hint
