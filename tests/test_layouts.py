"""An update as one group, whatever parts it comes in: ``baseline="batch"``."""

import dataclasses
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from cal_grpo.alignment import Aligner
from cal_grpo.credit import FORMULAS, Weights, check_baseline, formula
from cal_grpo.errors import UsageError
from cal_grpo.grading import grade_answer
from cal_grpo.oracles import CALOracle, Tag, Usage, Verdict
from cal_grpo.pipeline import SUMMED, Completion, CreditPipeline, Update
from cal_grpo.policies import EMBEDDED

TOKENIZER = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
# Nine tokens each: digits and signs are a token each, then a line break and "#### 8" make four more.
RIGHT, WRONG, MISSED, LONG = "3+4=7\n#### 7", "3+4=8\n#### 8", "3+4=9\n#### 9", "It is 3+4=5, so\n#### 5"


class Finds:
    """Blames "=8" and "=5", and abstains on everything else."""

    name = "finds"

    async def locate(self, query):
        for quote in ("=8", "=5"):
            if quote in query.response:
                return Verdict(Tag.FOUND, "the sum is 7", quote, usage=Usage(calls=1, usd=0.5, latency_s=2.0))
        return Verdict(Tag.ABSTAINED)


def completion(text, **more):
    ids, grade = TOKENIZER.encode(text).ids, grade_answer(text, "7")
    logprobs = np.log(np.linspace(0.5, 1, len(ids), dtype=np.float32))
    return Completion("What is 3+4?", RIGHT, ids, grade, float(grade.correct), logprobs, **more)


def pipeline_of(asked, credit, **settings):
    return CreditPipeline(asked, Aligner(TOKENIZER), formula(credit), Weights(), 1, baseline="batch", **settings)


def in_parts(pipeline, rows, sizes):
    """The parts of an update, each with its credit; the last is redeemed first."""
    update, ends = Update(pipeline), np.cumsum(sizes)
    parts = [pipeline.submit(rows[end - size : end], (3, i)) for i, (end, size) in enumerate(zip(ends, sizes, strict=True))]
    for part in parts:
        update.add(part)
    update.close()
    return [update.redeem(part) for part in reversed(parts)][::-1]


def test_grpo_compares_an_answer_with_all_of_its_update():
    # One right of four: mean 1/4, sample variance (9/16 + 3/16) / 3 = 1/4, so A = 1.5 and -0.5.
    rows = [completion(text) for text in (WRONG, RIGHT, MISSED, WRONG)]
    first, second, third = in_parts(pipeline_of(None, "grpo"), rows, [1, 2, 1])
    np.testing.assert_allclose(first.advantages_BT, [[-0.5] * 9], rtol=1e-5)
    np.testing.assert_allclose(second.advantages_BT, [[1.5] * 9, [-0.5] * 9], rtol=1e-5)
    np.testing.assert_allclose(third.advantages_BT, [[-0.5] * 9], rtol=1e-5)
    assert [judged.text for judged in second.judged] == [RIGHT, MISSED]


def test_prefix_blames_pays_and_gives_a_miss_the_mean_of_the_update():
    with CALOracle(Finds()) as asked:
        rows = [completion(text) for text in (WRONG, RIGHT, MISSED, WRONG)]
        parts = in_parts(pipeline_of(asked, "prefix"), rows, [1, 1, 2])
    wrong = [0.3, 0.3, 0.3, -1, -1, 0, 0, 0, 0]  # in sum -1.1, which the missed one loses too
    np.testing.assert_allclose(parts[0].advantages_BT, [wrong], rtol=1e-5)
    np.testing.assert_allclose(parts[1].advantages_BT, [[1.5] * 9], rtol=1e-5)
    np.testing.assert_allclose(parts[2].advantages_BT, [[-1.1 / 9] * 9, wrong], rtol=1e-5)
    assert [part.missed for part in parts] == [{}, {}, {"abstained": 1}]


def test_an_updates_metrics_are_the_same_whatever_its_parts():
    rows = [completion(text) for text in (WRONG, RIGHT, MISSED, LONG)]
    of = {}
    for sizes in ([4], [1, 1, 1, 1], [3, 1]):
        with CALOracle(Finds()) as asked:
            parts = in_parts(pipeline_of(asked, "prefix"), rows, sizes)
        names = parts[0].metrics.keys()
        assert all(part.metrics.keys() == names for part in parts)
        values = {name: [part.metrics[name] for part in parts] for name in names}
        of[len(sizes)] = {n: sum(v) if n in SUMMED else sum(v) / len(v) for n, v in values.items()}
    assert of[2] == pytest.approx(of[1])
    assert of[4] == pytest.approx(of[1])
    assert (of[4]["asked"], of[4]["found"], of[4]["usd"], of[4]["missed_share"]) == (3, 2, 1.0, pytest.approx(1 / 3))
    assert of[4]["advantage_variance_grpo"] == pytest.approx(
        np.var([1.5] * 9 + [-0.5] * (18 + len(rows[3].token_ids))), rel=1e-4
    )


@pytest.mark.parametrize("credit", sorted(FORMULAS))
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_how_an_update_is_split_and_ordered_changes_no_rows_credit(credit, data):
    texts = data.draw(st.lists(st.sampled_from([RIGHT, WRONG, MISSED, LONG, ""]), min_size=2, max_size=6))
    ends = data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    order = data.draw(st.permutations(range(len(texts))))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(texts) - 1))))
    rows = [completion(text, end_token=end) for text, end in zip(texts, ends, strict=True)]
    sizes = np.diff([0, *cuts, len(texts)])
    with CALOracle(Finds()) as asked:
        pipeline = pipeline_of(asked, credit)
        whole = pipeline.redeem(pipeline.submit(rows))
        parts = in_parts(pipeline, [rows[i] for i in order], sizes)
    credited = [row_T for part in parts for row_T in part.advantages_BT]
    for at, row_T in zip(order, credited, strict=True):
        length = len(rows[at].token_ids) + ends[at]
        np.testing.assert_allclose(row_T[:length], whole.advantages_BT[at, :length], rtol=1e-4, atol=1e-6)
        assert not row_T[length:].any()


def test_a_formula_that_draws_draws_for_the_whole_update():
    rows = [completion(text) for text in (WRONG, LONG, WRONG, RIGHT)]
    of = []
    for sizes in ([4], [1, 3], [1, 1, 1, 1]):
        with CALOracle(Finds()) as asked:
            parts = in_parts(pipeline_of(asked, "study.controls:random_span"), rows, sizes)
        of.append([row_T for part in parts for row_T in part.advantages_BT])
    for rows_T in of[1:]:
        for left_T, right_T in zip(of[0], rows_T, strict=True):
            width = min(len(left_T), len(right_T))
            np.testing.assert_array_equal(left_T[:width], right_T[:width])


def test_a_part_waits_for_the_whole_update_and_never_for_what_does_not_come():
    pipeline = pipeline_of(None, "grpo")
    update, got = Update(pipeline), []
    first, second = (pipeline.submit([completion(text)]) for text in (RIGHT, WRONG))
    update.add(first)
    waiting = threading.Thread(target=lambda: got.append(update.redeem(first)))
    waiting.start()
    update.add(second)
    assert got == []
    update.close()  # a third one was to come, and its sampling failed
    waiting.join(timeout=10)
    np.testing.assert_allclose(got[0].advantages_BT, [[0.70711] * 9], rtol=1e-4)


def test_one_answer_alone_is_refused():
    pipeline = pipeline_of(None, "grpo")
    with pytest.raises(UsageError, match="baseline is batch and an update has 1 answer"):
        pipeline.redeem(pipeline.submit([completion(RIGHT)]))
    with pytest.raises(UsageError, match="a group of one has no baseline"):
        dataclasses.replace(pipeline, baseline="group")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("all", 8), "baseline is 'all'; expected one of group, batch"),
        (("batch", 0), "num_generations is 0; expected 1 or more"),
        (("group", 1), "a group of one has no baseline; set baseline=batch or num_generations to 2 or more"),
        (("batch", 1, False), "use_cal is false with baseline=batch and num_generations=1; the engine's own trainer"),
        (("batch", 8, False), "set use_cal=true, or baseline=group"),
        (("group", 1, False), "use_cal is false with baseline=group and num_generations=1"),
        (("batch", 1, True, 1), "an update has 1 answer"),
    ],
)
def test_a_layout_without_a_baseline_is_one_line(arguments, message):
    baseline, num_generations, *more = arguments
    with pytest.raises(UsageError, match=r"^[^\n]*$") as error:
        check_baseline(baseline, num_generations, **dict(zip(("use_cal", "rows"), more, strict=False)))
    assert message in str(error.value)


def test_layouts_with_a_baseline_pass():
    for arguments in (("group", 2), ("batch", 1), ("batch", 8)):
        check_baseline(*arguments)
    check_baseline("group", 2, use_cal=False, rows=2)
    check_baseline("batch", 1, rows=2)
