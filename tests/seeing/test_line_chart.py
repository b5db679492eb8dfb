"""Line charts: what is drawn where, read back from the SVG."""

import itertools
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.seeing import Chart, Line, chart_svg
from cal_grpo.seeing.drawing import frame, spread

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*lines, **options):
    chart = Chart("key", "Title", "about", "", lines, **options)
    return frame(chart), ET.fromstring(chart_svg(chart))


def points(node):
    return [tuple(map(float, point.split(","))) for point in node.get("points").split()]


def kinds(root, tag, kind):
    return [node for node in root.iter(SVG + tag) if kind in node.get("class", "").split()]


def test_a_line_and_its_band_share_their_axes():
    # From 0 to 4 in steps of 1, updates 10 to 30; the band's ends are the highest and the lowest values.
    line = Line(1, [(10, 1), (20, 2), (30, 3)], band=[(0, 2), (1, 3), (2, 4)])
    axes, root = drawn(line, x_title="updates")
    left, right, top, bottom = (axes[edge] for edge in ("left", "right", "top", "bottom"))
    middle, height = (left + right) / 2, bottom - top
    (polyline,), (band,) = kinds(root, "polyline", "line"), kinds(root, "polygon", "band")
    assert points(polyline) == [
        (left, pytest.approx(bottom - height / 4, abs=0.06)),
        (middle, pytest.approx(bottom - height / 2, abs=0.06)),
        (right, pytest.approx(bottom - 3 * height / 4, abs=0.06)),
    ]
    assert [x for x, _ in points(band)] == [left, middle, right, right, middle, left]  # there above, back below
    assert points(band)[2] == (right, top)
    assert points(band)[-1] == (left, bottom)
    assert "updates" in [node.text for node in root.iter(SVG + "text")]
    assert not kinds(root, "circle", "f1")


def test_dots_mark_the_points_and_a_point_alone_is_one():
    assert len(kinds(drawn(Line(0, [(1, 1), (2, 2)], dots=True))[1], "circle", "f0")) == 2
    _, root = drawn(Line(9, [(1, 1)]))
    assert len(kinds(root, "circle", "f1")) == 1  # colours come again
    assert not list(root.iter(SVG + "polyline"))


def test_labels_stand_at_the_ends_of_their_lines_without_touching_each_other():
    lines = [Line(i, [(1, 5), (2, y)], label=name) for i, (name, y) in enumerate((("low", 1), ("a <b>", 9.9), ("c", 10)))]
    axes, root = drawn(*lines)
    placed = {node.text: (float(node.get("x")), float(node.get("y"))) for node in kinds(root, "text", "label")}
    assert list(placed) == ["c", "a <b>", "low"]  # from above
    assert all(axes["right"] < x for x, _ in placed.values())
    assert all(b - a >= 15 - 0.2 for (_, a), (_, b) in itertools.pairwise(placed.values()))
    assert all(axes["top"] <= y - 4 <= axes["bottom"] for _, y in placed.values())
    ends = {tuple(points(node)[-1]) for node in kinds(root, "polyline", "line")}
    leaders = kinds(root, "line", "leader")
    assert {(float(leader.get("x1")) - 5, float(leader.get("y1"))) for leader in leaders} == ends


def test_lines_without_labels_have_the_whole_width():
    bare, _ = drawn(Line(0, [(1, 1), (2, 2)]))
    labelled, _ = drawn(Line(0, [(1, 1), (2, 2)], label="probability_mask"))
    assert bare["right"] - labelled["right"] > 100


def test_zero_is_drawn_where_values_lie_on_both_sides():
    assert len(kinds(drawn(Line(0, [(1, -1), (2, 1)]))[1], "line", "zero")) == 1
    assert not kinds(drawn(Line(0, [(1, 0), (2, 1)]))[1], "line", "zero")


@given(st.lists(st.floats(0, 100), min_size=1, max_size=7).map(sorted))
def test_places_are_apart_in_order_and_within(wanted):
    places = spread(wanted, 10, 0, 100)
    assert all(b - a >= 10 - 1e-9 for a, b in itertools.pairwise(places))
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in places)
    if all(b - a >= 10 for a, b in itertools.pairwise(wanted)):
        assert places == pytest.approx(wanted)


def test_places_are_as_near_as_they_can_be():
    assert spread([50, 50, 50], 10, 0, 100) == pytest.approx([40, 50, 60])
    assert spread([0, 1, 80], 10, 0, 100) == pytest.approx([0, 10, 80])
    assert spread([99, 100], 10, 0, 100) == pytest.approx([90, 100])
    assert spread([1, 2, 3], 10, 0, 15) == pytest.approx([0, 10, 20])  # there is no room: apart all the same
    assert spread([], 10, 0, 100) == []
