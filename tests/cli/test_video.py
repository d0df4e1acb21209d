"""Arguments, notes and progress of ``cleanplate video``."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from cleanplate.cli import build_parser, main
from cleanplate.cli.commands.video import describe_progress, describe_summary, facts_of
from cleanplate.cli.option_arguments import make_job
from cleanplate.errors import OptionError
from cleanplate.jobs.pipeline import Progress, Summary
from cleanplate.media import AS_IT_IS, Encoding, Reading
from cleanplate.media.spans import Span
from cleanplate.media.stills.exr import EXTRA_CHANNELS
from cleanplate.vocabulary import EXR_CHANNELS


def job(*arguments, threads=None):
    return make_job(build_parser().parse_args(["video", "in.mov", "--plate", "p.png", *arguments]), threads)


def test_a_plain_clip():
    plain = job()
    assert (plain.clip, plain.plate, plain.out) == (Path("in.mov"), Path("p.png"), None)
    assert plain.reading == AS_IT_IS
    assert plain.encoding == Encoding()
    assert (plain.alpha, plain.linear, plain.resume, plain.overwrite) == (None, False, False, False)
    assert plain.keyer.threads is None
    assert job(threads=1).keyer.threads == 1


def test_every_option_reaches_the_job():
    asked = job(
        *("-o", "out.mp4", "--background", "white", "--range", "00:10-00:42.5", "--fps", "30000/1001"),
        *("--damage", "drop", "--codec", "hevc", "--crf", "18.5", "--hw", "auto", "--odd", "scale"),
        *("--deinterlace", "off"),
        *("--linear", "--alpha", "straight", "--exr-compression", "dwaa:45"),
        *("--exr-channels", "matte", "error", "--resume", "--overwrite", "--shadow", "keep"),
    )
    assert asked.reading == Reading(
        Fraction(30000, 1001), Span(Fraction(10), Fraction(85, 2)), "drop", "auto", "off"
    )
    assert asked.encoding == Encoding(
        codec="hevc",
        crf=18.5,
        hardware="auto",
        odd="scale",
        compression="dwaa:45",
        channels=("matte", "error"),
    )
    assert (asked.alpha, asked.linear, asked.resume, asked.overwrite) == ("straight", True, True, True)
    assert asked.keyer.shadow == "keep"


def test_every_channel_of_exr_has_a_name_in_the_file():
    assert tuple(EXTRA_CHANNELS) == EXR_CHANNELS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--range", "10"), "Expected a range such as"),
        (("--range", "00:20-00:10"), "range"),
        (("--quality", "50", "--crf", "20"), "exclude each other"),
        (("--exr-compression", "dwaa"), "Only EXR takes a compression"),
        (("--exr-channels", "matte", "-o", "a.mov"), "need colour in EXR"),
        (("--linear",), "Linear light is for composites"),
    ],
)
def test_contradicting_options_are_refused(tmp_path, capsys, arguments, message):
    assert main(["video", str(tmp_path / "in.mov"), "--plate", "none", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_wrong_rate_is_refused(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["video", "a_%d.png", "--fps", "fast"])
    assert "expected a rate such as 25, 29.97 or 30000/1001, got 'fast'" in capsys.readouterr().err
    with pytest.raises(OptionError, match="above 0"):
        job("--fps", "0")


def test_progress_is_one_line():
    begun = Progress(0, 240, 0.1)
    assert describe_progress(begun) == "frame 0 of about 240, 0.0 fps"
    running = Progress(148, 240, 8.0, resumed=100, video_seconds=1.92, bottleneck="keying")
    text = "frame 148 of about 240, 6.0 fps (0.24x), 0:15 left, keying is slowest"
    assert describe_progress(running) == text
    assert describe_progress(Progress(48, None, 8.0)) == "frame 48, 6.0 fps"
    assert describe_progress(Progress(60, 240, 1.0, doing="building")) == "building the plate: 25%"
    assert describe_progress(Progress(60, None, 1.0, doing="building")) == "building the plate: frame 60"
    assert describe_progress(Progress(240, 240, 9.0, doing="joining")) == "240 frames, joining the segments"


def test_progress_is_json_for_programs():
    running = Progress(148, 240, 8.0, resumed=100, video_seconds=1.92, bottleneck="keying")
    assert facts_of(running) == {
        "doing": "keying", "frames": 148, "total": 240, "fps": 6.0, "speed": 0.24,
        "bottleneck": "keying", "seconds_left": 15.3,
    }  # fmt: skip
    assert facts_of(Progress(0, None, 0.0))["seconds_left"] is None


@pytest.mark.parametrize(
    ("summary", "text"),
    [
        (Summary(100, 8.0, ()), "100 frames in 0:08, 12.5 frames per second."),
        (
            Summary(100, 4.0, (), resumed=60),
            "40 frames after 60 of an earlier run in 0:04, 10.0 frames per second.",
        ),
        (Summary(100, 1.0, (), resumed=100), "0 frames after 100 of an earlier run in 0:01."),
        (Summary(0, 0.1, ()), "There was nothing left to do."),
    ],
)  # fmt: skip
def test_a_summary_ends_the_run(summary, text):
    assert describe_summary(summary) == text


def test_a_note_names_the_option_for_a_slow_run():
    from cleanplate.cli.commands.video import FASTER, advise_speed

    assert advise_speed("fine", 0.4, 20) == FASTER
    assert "--scale auto" in FASTER
    assert advise_speed("fine", 1.1, 20) == ""  # in real time
    assert advise_speed("auto", 0.4, 20) == ""  # without a limit
    assert advise_speed("fine", None, 20) == ""  # of a clip without times
    assert advise_speed("fine", 0.1, 2) == ""  # mostly the start
