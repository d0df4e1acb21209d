from __future__ import annotations

import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.errors import OutputError
from cleanplate.evaluation.cases import CaseFrame
from cleanplate.evaluation.chart import _nice_ticks, draw_chart
from cleanplate.evaluation.error_sheets import draw_error
from cleanplate.evaluation.evaluate_cases import Outcome, View
from cleanplate.evaluation.evaluation_report import WORST, ReportFolder, Tally, draw_table, to_json
from cleanplate.evaluation.score import METRICS


def outcome(number, mad, kind=None, refused=None, height=36):
    picture = np.full((height, 64, 3), 90, np.uint8)
    alpha = np.full((height, 64), np.nan_to_num(mad), np.float32)
    view = View(CaseFrame(picture, np.zeros_like(alpha), None), picture, {"a": alpha, "b": alpha})
    scores = dict.fromkeys(METRICS, math.nan) | {"mad": mad, "sad": mad / 2}
    return Outcome(
        f"case{number}",
        kind,
        1,
        {"a": scores, "b": scores | {"mad": 2 * mad}},
        refused or {},
        {"a": view, "b": view},
    )


@pytest.fixture
def tally():
    tally = Tally(["a", "b"])
    for number in range(20):
        tally.add(
            outcome(
                number, 0.01 * number, "odd" if number % 2 else "even", {"b": "No."} if number == 3 else {}
            )
        )
    return tally


def test_means_and_medians(tally):
    assert tally.means("a")["mad"] == pytest.approx(0.095)
    assert tally.means("b")["mad"] == pytest.approx(0.19)
    assert tally.medians("a")["mad"] == pytest.approx(0.095)
    assert tally.means("a", "odd")["mad"] == pytest.approx(0.1)
    assert math.isnan(tally.means("a")["dtssd"])


def test_undefined_scores_are_left_out_of_means():
    tally = Tally(["a", "b"])
    tally.add(outcome(0, 0.1))
    tally.add(outcome(1, math.nan))
    assert tally.means("a")["mad"] == pytest.approx(0.1)


def test_the_table(tally):
    table = draw_table(tally)
    first, a, b = table.splitlines()[:3]
    assert first.split() == ["MAD", "SAD", "median", "MAD"]
    assert a.split() == ["a", "95.00", "0.05", "95.00"]
    assert b.split() == ["b", "190.00", "0.05", "190.00"]
    assert "odd" in table
    assert "b gave no matte in 1 case, counted as an empty one: case3" in table
    assert draw_table(tally, ["sad"]).splitlines()[0].split() == ["SAD"]


def test_json_has_no_nan(tally):
    report = json.loads(json.dumps(to_json(tally, {"data": "x"}), allow_nan=False))
    assert report["peers"]["a"]["mean"]["mad"] == pytest.approx(0.095)
    assert report["peers"]["a"]["mean"]["dtssd"] is None
    assert report["peers"]["b"]["refused"] == {"case3": "No."}
    assert len(report["cases"]) == 20


def test_only_the_worst_cases_are_kept(tally):
    assert [exhibit.name for exhibit in tally.worst("a")] == [f"case{19 - n}" for n in range(WORST)]
    assert all(not outcome.views for outcome in tally.outcomes)


def test_the_folder_and_its_sheets(tally, tmp_path):
    from cleanplate.media import read_image

    folder = ReportFolder(tmp_path / "report")
    folder.write_json(to_json(tally, {}))
    sheets = folder.write_sheets(tally)
    assert [path.name for path in sheets] == ["worst_a.png", "worst_b.png", "side_by_side.png"]
    pixels = read_image(sheets[0]).pixels
    assert pixels.shape[1] > 5 * 400
    assert len(np.unique(pixels)) > 3
    mine = tmp_path / "report" / "mine.txt"
    mine.write_text("mine")
    with pytest.raises(OutputError, match="already"):
        ReportFolder(tmp_path / "report")
    again = ReportFolder(tmp_path / "report", overwrite=True)
    again.write_json({})
    again.write_sheets(tally)
    assert mine.read_text() == "mine"


def test_pictures_of_any_shape_fit_on_a_sheet(tmp_path):
    tally = Tally(["a", "b"])
    for number, height in enumerate((40, 200, 33)):
        tally.add(outcome(number, 0.5, height=height))
    assert len(ReportFolder(tmp_path / "report").write_sheets(tally)) == 3


def test_errors_are_red_and_blue():
    truth = np.float32([[0.2, 0.8, 0.5]])
    red, _, blue = draw_error(np.float32([[0.9, 0.1, 0.5]]), truth).transpose(2, 0, 1).astype(int)
    assert red[0, 0] > blue[0, 0] + 100
    assert blue[0, 1] > red[0, 1] + 80
    assert red[0, 2] == blue[0, 2]


def test_a_chart_is_svg():
    svg = draw_chart(
        "a <b>", "x & y", "MAD", {"lite": [(0, 1.0), (1, 2.0), (4, 2.5)], "keyer": [(0, 2.5), (4, 2.5)]}
    )
    root = ElementTree.fromstring(svg)
    names = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a <b>", "x & y", "lite", "keyer", "4"} <= set(names)
    lines = list(root.iter("{http://www.w3.org/2000/svg}polyline"))
    heights = [float(point.split(",")[1]) for point in lines[0].get("points").split()]
    assert heights[0] > heights[1] > heights[2], "more is higher up"
    labels = [
        float(e.get("y"))
        for e in root.iter("{http://www.w3.org/2000/svg}text")
        if e.text in ("lite", "keyer")
    ]
    assert abs(labels[0] - labels[1]) >= 15, "names do not overlap"


@given(st.floats(0, 1e9, allow_subnormal=False))
def test_ticks_cover_the_values(highest):
    ticks = _nice_ticks(highest)
    assert ticks[0] == 0
    assert ticks[-1] >= highest * (1 - 1e-6)
    assert 2 <= len(ticks) <= 11
