"""Settings beside each other: grouping, pairing, and the picture."""

import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cal_grpo.config import known_keys
from cal_grpo.intervals import mean, paired_difference, share
from cal_grpo.seeing.arms import arms_of, pairs_of
from cal_grpo.seeing.comparison import compare, pair
from cal_grpo.seeing.drawing import ticks
from cal_grpo.seeing.run import Answer, open_runs

TEXT = "{http://www.w3.org/2000/svg}text"


def answers(*right):
    return [Answer(question=f"q{i}", correct=bool(r)) for i, r in enumerate(right)]


def test_answers_are_paired_by_question_whatever_their_order():
    first = answers(1, 1, 0, 0)
    second = list(reversed(answers(1, 0, 1, 0)))
    assert pair(first, second) == (1, 1, 1, 1)
    assert pair(first, second[:2]) == (0, 0, 1, 1)  # what only one was asked is left out
    twice = [Answer(question="q", correct=True), Answer(question="q", correct=False)]
    assert pair(twice, twice) == (1, 0, 0, 1)


def test_one_run_a_setting_has_newcombe_s_interval_over_questions(make_run):
    grpo = make_run("grpo", use_cal=False, held_out=((0, 0, 0, 0), (1, 0, 0, 0)))
    cal = make_run("cal", held_out=((0, 0, 0, 0), (1, 1, 1, 0)))
    found = compare(open_runs([grpo, cal]))
    baseline, row = found.rows
    assert (baseline.label, row.label) == ("credit tunix-grpo", "credit prefix")
    assert baseline.difference is None
    assert row.difference == paired_difference(1, 2, 0, 1)
    assert row.gain == paired_difference(0, 3, 0, 1)
    assert row.after == share(3, 4)
    assert (row.over, row.pairs[0].gained, row.pairs[0].lost) == ("4 questions", 2, 0)
    assert found.notes == []


def test_seeds_are_paired_by_seed_and_have_student_s_interval(make_run):
    held_out = {0: (1, 1, 0, 0), 1: (1, 1, 1, 0), 2: (1, 1, 1, 1)}
    grpo = [make_run(f"grpo{s}", use_cal=False, seed=s, held_out=((0,) * 4, (1, 0, 0, 0))) for s in (2, 1, 0)]
    cal = [make_run(f"cal{s}", seed=s, held_out=((0,) * 4, row)) for s, row in held_out.items()]
    found = compare(open_runs([*grpo, *cal]))
    assert [row.runs for row in found.rows] == [["grpo2", "grpo1", "grpo0"], ["cal0", "cal1", "cal2"]]
    row = found.rows[1]
    assert [(p.run, p.baseline) for p in row.pairs] == [("cal0", "grpo0"), ("cal1", "grpo1"), ("cal2", "grpo2")]
    assert row.difference == pytest.approx(mean([0.25, 0.5, 0.75]))
    assert row.over == "3 seeds"
    assert row.after == pytest.approx(mean([0.5, 0.75, 1.0]))
    assert found.rows[0].before == share(0, 4)  # one policy before training: no spread over seeds, so one run's interval


def test_runs_of_one_setting_are_compared_one_by_one(make_run):
    arms = arms_of(open_runs([make_run("a", seed=0), make_run("b", seed=1)]))
    assert [(arm.label, len(arm.runs)) for arm in arms] == [("a", 1), ("b", 1)]


def test_settings_are_named_by_what_differs_and_by_their_runs_where_that_is_long(make_run):
    slow, fast = make_run("slow", learning_rate=1e-5), make_run("fast", learning_rate=1e-3)
    assert [arm.label for arm in arms_of(open_runs([slow, fast]))] == ["learning_rate 1e-05", "learning_rate 0.001"]
    other = make_run("other", learning_rate=1e-5, batch_size=3, num_train_steps=9, cal_provider="arithmetic")
    assert [arm.label for arm in arms_of(open_runs([fast, other]))] == ["fast", "other"]
    # What plain GRPO does not read does not part its runs.
    plain = [make_run(f"p{i}", use_cal=False, cal_provider=name, seed=i) for i, name in enumerate(("reference", "arithmetic"))]
    assert len(arms_of(open_runs([*plain, slow]))[0].runs) == 2


def test_seeds_that_do_not_meet_are_paired_in_order(make_run):
    a, b = (arms_of(open_runs([make_run(n, seed=i), make_run(n + "x", seed=9, beta=0.5)]))[0] for i, n in enumerate("ab"))
    assert [(x.name, y.name) for x, y in pairs_of(a, b)] == [("a", "b")]


def test_what_cannot_be_compared_is_told(make_run):
    base = make_run("base", use_cal=False)
    killed = make_run("killed", files={"summary.json": None, "eval.jsonl": None})
    found = compare(open_runs([base, killed]))
    assert found.rows[1].after is found.rows[1].difference is None
    assert found.notes == ["killed: unfinished after 2 updates", "killed: no held-out answers after training"]
    fewer = make_run("fewer", held_out=((1, 1), (1, 1)))
    assert compare(open_runs([base, fewer])).notes == ["fewer: 2 of 4 questions in common with base"]
    other = json.dumps({"when": "after", "question": "another", "correct": True}) + "\n"
    strange = make_run("strange", files={"eval.jsonl": other})
    assert compare(open_runs([base, strange])).notes == ["credit prefix: no held-out question in common with the baseline"]


def drawn(cal_grpo, *runs):
    status, out, err = cal_grpo("compare", *runs)
    assert status == 0, err
    return out, ET.parse("compare.svg").getroot()


def test_the_command_prints_a_table_and_draws_a_picture(cal_grpo, make_run):
    grpo, cal = make_run("grpo", use_cal=False, held_out=((0,) * 4, (1, 0, 0, 0))), make_run("cal")
    out, svg = drawn(cal_grpo, grpo, cal)
    for expected in ("held-out after, %", "25.0 [4.6, 69.9]", "against baseline, points", "+50.0", "4 questions", "+2 -0"):
        assert expected in out
    texts = [node.text for node in svg.iter(TEXT)]
    for expected in ("Training accuracy", "KL", "Variance of the advantages", "Held-out accuracy, difference", "credit prefix"):
        assert expected in texts
    assert not {node.tag.rpartition("}")[2] for node in svg.iter()} & {"script", "image", "foreignObject", "use"}
    status, out, _ = cal_grpo("compare", grpo, cal, "--json")
    record = json.loads(out)
    assert (status, record["baseline"], record["svg"]) == (0, "credit tunix-grpo", "compare.svg")
    assert record["rows"][1]["difference"]["value"] == 0.5
    assert record["rows"][1]["pairs"][0]["gained"] == 2


def test_labels_in_the_picture_are_text_whatever_they_hold(cal_grpo, make_run):
    runs = [make_run("a", cal_model="<script>x</script>\x1b[0m\u202e"), make_run("b", cal_model="&lt;")]
    out, svg = drawn(cal_grpo, *runs)
    assert "\x1b" not in out
    labels = [node.text for node in svg.iter(TEXT) if node.text and node.text.startswith("cal_model")]
    assert any("<script>x</script>�[0m�" in label for label in labels)


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ({"metrics.jsonl": ""}, (), "has no update yet"),
        ({"metrics.jsonl": None, "config.yaml": None}, (), "has no update yet"),
        ({}, ("--output", "no/such/folder.svg"), "cannot be written"),
    ],
)
def test_what_is_missing_is_one_line_and_status_2(cal_grpo, make_run, files, arguments, message):
    status, out, err = cal_grpo("compare", make_run("a"), make_run("b", files=files), *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("cal-grpo: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize("value", ["x", 1.5, [1], {"a": 1}, None])
def test_a_file_whose_values_have_other_types_is_compared_and_reported_as_far_as_it_goes(cal_grpo, make_run, value):
    whole = make_run("whole")
    for file, keys in (
        ("summary.json", {"oracle": value, "eval": value, "wall_s": value, "stopped": value, "device": value}),
        ("config.yaml", dict.fromkeys(known_keys(), value) | {key.partition(".")[0]: value for key in known_keys()}),
    ):
        folder = make_run(file.partition(".")[0], files={file: json.dumps(keys)})
        for words in (("compare", whole, folder), ("report", folder), ("inspect", folder, "--plain")):
            assert cal_grpo(*words)[0] == 0


def test_a_config_that_is_nested_without_end_is_not_read_and_told(cal_grpo, make_run):
    status, out, err = cal_grpo("report", make_run(files={"config.yaml": "[" * 5000}))
    assert (status, err) == (0, "")
    assert "config.yaml: missing or not readable" in out


def test_one_run_cannot_be_compared_and_another_s_file_is_not_replaced(cal_grpo, make_run, tmp_path):
    a, b = make_run("a"), make_run("b", seed=1)
    assert "expected two or more" in cal_grpo("compare", a)[2]
    mine = tmp_path / "here" / "compare.svg"
    mine.write_text("<svg>mine</svg>")
    assert "another file is there" in cal_grpo("compare", a, b)[2]
    assert mine.read_text() == "<svg>mine</svg>"
    assert cal_grpo("compare", a, b, "--output", "ours.svg")[0] == 0
    assert cal_grpo("compare", a, b, "--output", "ours.svg")[0] == 0  # an older one of ours is replaced
    assert sorted(p.name for p in mine.parent.iterdir()) == ["compare.svg", "ours.svg"]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 6))
def test_ticks_are_few_round_and_hold_what_is_drawn(low, width, count):
    assume(width > 1e-8 * abs(low))  # less is as good as flat
    found = ticks(low, low + width, count)
    assert found[0] <= low + 1e-6 * width
    assert found[-1] >= low + width * (1 - 1e-6)
    assert 2 <= len(found) <= 2 * count + 3


def test_a_flat_line_has_ticks_too():
    assert ticks(0.5, 0.5, 4)[0] < 0.5 < ticks(0.5, 0.5, 4)[-1]
    assert ticks(0, 0, 4)[0] < 0 < ticks(0, 0, 4)[-1]
    assert len(ticks(-1e99, 1e99, 4)) > 1
    assert len(ticks(0, 5e-324, 4)) > 1
