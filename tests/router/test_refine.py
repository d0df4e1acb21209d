from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.errors import OptionError
from cleanplate.router import Refine


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sampling:80000", Refine("sampling", 80_000)),
        ("sampling:0", Refine("sampling", 0)),
        ("threshold:0.25", Refine("threshold", 0.25)),
        ("threshold:1", Refine("threshold", 1)),
        ("full", Refine("full")),
        ("off", Refine("off")),
    ],
)
def test_a_parsed_rule_prints_its_text(text: str, expected: Refine) -> None:
    assert Refine.parse(text) == expected
    assert str(expected) == text


MALFORMED = """
    sampling sampling: sampling:many sampling:-1 sampling:inf sampling:nan sampling:1:2 threshold
    threshold:1.5 threshold:-0.1 threshold:nan full:1 off: auto Full
"""


@pytest.mark.parametrize("text", ["", *MALFORMED.split()])
def test_a_wrong_rule_is_an_option_error_with_the_value(text: str) -> None:
    with pytest.raises(OptionError) as caught:
        Refine.parse(text)
    value = text.partition(":")[2] or text
    assert value in caught.value.message or text in caught.value.message
    assert "sampling:80000" in caught.value.hint


@given(st.text(max_size=20))
def test_any_text_parses_or_is_an_option_error(text: str) -> None:
    try:
        refine = Refine.parse(text)
    except OptionError:
        return
    assert Refine.parse(str(refine)) == refine
