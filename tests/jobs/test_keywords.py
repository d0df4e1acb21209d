"""Unknown keyword arguments name the place where they belong."""

from __future__ import annotations

import pytest

import cleanplate


@pytest.mark.parametrize(
    ("call", "name", "hint"),
    [
        ("matte_video", "range", "range: pass reading=Reading(span=Span.parse(...))"),
        ("matte_video", "damage", "damage: pass reading=Reading(damage=...)"),
        ("matte_video", "codec", "codec: pass encoding=Encoding(codec=...)"),
        ("matte_video", "matte_choke", "matte_choke: pass finish=Finish(choke_pixels=...)"),
        ("matte_video", "despil", "did you mean 'despill'?"),
        ("matte_video", "modle", "did you mean 'model'?"),
        ("matte_image", "range", "range: only for clips"),
        ("matte_image", "quality", "quality: pass it to the save() of the Cutout"),
        ("matte_image", "despill", "despill: pass finish=Finish(despill=...)"),
    ],
)
def test_an_unknown_keyword_names_its_object(call, name, hint):
    with pytest.raises(cleanplate.OptionError) as refused:
        getattr(cleanplate, call)("gone.mp4", "gone.png", **{name: 1})
    assert refused.value.message == f"{call} has no argument '{name}'."
    assert refused.value.hint == hint


def test_a_keyer_refuses_an_unknown_keyword():
    with pytest.raises(cleanplate.OptionError) as refused:
        cleanplate.Keyer("gone.png", scal=1)
    assert refused.value.message == "Keyer has no argument 'scal'."
    assert refused.value.hint == "did you mean 'scale'?"
