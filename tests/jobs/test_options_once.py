"""Each option is one field: command line, manifest, Python and fingerprint are derived from it."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import cleanplate
from cleanplate.cli import build_parser
from cleanplate.cli.option_arguments import flags_by_column
from cleanplate.jobs.job import OPTIONS, Job
from cleanplate.vocabulary import KeyerOptions, flags_of

PYTHON_ONLY = {
    "clip": "the positional argument",
    "finish": "an object of options",
    "keyer": "an object of options",
    "reading": "an object of options",
    "encoding": "an object of options",
    "look_seconds": "for live sessions",
    "threads": "chosen from the number of jobs",
    "maps": "follows from the layers",
    "on_device": "chosen by the job",
    "keep_shadow": "follows from --shadow",
    "bleed": "follows from the layers",
    "transfer": "follows from the source",
    "premultiplied": "follows from --alpha and the format",
    "real_time": "for live sessions",
}
NOT_IN_FINGERPRINT = {
    "plate": "described by its pixels",
    "out": "described by the results",
    "save": "described by the layers",
    "report": "described by its absolute path",
    "profile": "changes no result",
    "overwrite": "concerns old files",
    "resume": "concerns old files",
    "threads": "changes the speed only",
    "workers": "changes the speed only",
}
FIELDS = [(kind, field) for kind in OPTIONS for field in dataclasses.fields(kind)]


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda each: getattr(each, "name", ""))
def test_each_field_is_an_option_of_the_command_line_and_the_manifest(kind, field):
    arguments = vars(build_parser().parse_args(["video", "in.mov"]))
    flag = flags_of(kind).get(field.name)
    assert (flag is None) == (field.name in PYTHON_ONLY)
    if flag is not None:
        assert flag.attribute in arguments
        assert flag.column in flags_by_column()
    assert field.metadata.get("fingerprint", True) == (field.name not in NOT_IN_FINGERPRINT)


def test_python_has_the_same_options():
    keyer = {field.name for field in dataclasses.fields(KeyerOptions)}
    job = {field.name for field in dataclasses.fields(Job)} - {"keyer"}
    assert keyer <= set(inspect.signature(cleanplate.Keyer).parameters)
    assert keyer <= set(inspect.signature(cleanplate.matte_image).parameters)
    assert keyer | job <= set(inspect.signature(cleanplate.matte_video).parameters)


def test_an_option_needs_one_of_its_object_or_a_plate():
    needs = {(kind, flag.needs) for kind in OPTIONS for flag in flags_of(kind).values() if flag.needs}
    assert needs == {(Job, "background"), (KeyerOptions, "props"), (KeyerOptions, "plate")}
    for kind, needed in needs - {(KeyerOptions, "plate")}:
        assert flags_of(kind)[needed].name
        assert getattr(kind, needed) is None
    with pytest.raises(cleanplate.OptionError, match=r"^props_mode has no effect without props\."):
        cleanplate.matte_image("photo.png", "plate.png", props_mode="drop")
