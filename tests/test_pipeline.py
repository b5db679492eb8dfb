"""From graded completions to advantages, with an oracle that says what the test wants."""

import dataclasses

import numpy as np
import pytest
from tokenizers import Tokenizer

from cal_grpo.alignment import Aligner
from cal_grpo.credit import Weights, formula
from cal_grpo.errors import UsageError
from cal_grpo.grading import grade_answer
from cal_grpo.oracles import CALOracle, Query, Tag, Usage, Verdict
from cal_grpo.pipeline import Completion, CreditPipeline, Update
from cal_grpo.policies import EMBEDDED

TOKENIZER = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
RIGHT, WRONG = "3+4=7\n#### 7", "3+4=8\n#### 8"


class Scripted:
    """Answers with what the script has for a response; remembers the queries."""

    name = "scripted"

    def __init__(self, script):
        self.script, self.asked = script, []

    async def locate(self, query):
        self.asked.append(query)
        return self.script[query.response]


def completion(text, answer="7"):
    grade = grade_answer(text, answer)
    return Completion("What is 3+4?", "3+4=7\n#### 7", TOKENIZER.encode(text).ids, grade, float(grade.correct))


def credit(texts, script, name="prefix", **settings):
    oracle = Scripted(script)
    with CALOracle(oracle, attempts=1) as asked:
        pipeline = CreditPipeline(asked, Aligner(TOKENIZER), formula(name), Weights(), len(texts), **settings)
        credited = pipeline.redeem(pipeline.submit([completion(t) for t in texts]))
    return credited, oracle


def found(segment, **more):
    return Verdict(Tag.FOUND, "the sum is 7", segment, **more)


def test_only_wrong_answers_are_asked_about_with_question_reference_and_text():
    _credited, oracle = credit([RIGHT, WRONG], {WRONG: found("3+4=8")})
    assert oracle.asked == [Query("What is 3+4?", "3+4=7\n#### 7", WRONG)]


def test_the_quoted_tokens_carry_the_blame():
    credited, _ = credit([RIGHT, WRONG], {WRONG: found("=8")})
    # Digits and signs are a token each: "3", "+", "4", "=", "8", then a line break and "#### 8".
    tokens = [TOKENIZER.decode([i]) for i in TOKENIZER.encode(WRONG).ids]
    assert tokens[:5] == ["3", "+", "4", "=", "8"]
    blamed_T = credited.advantages_BT[1]
    np.testing.assert_allclose(blamed_T[:5], [0.3, 0.3, 0.3, -1, -1], rtol=1e-6)
    assert not blamed_T[5:].any()
    np.testing.assert_allclose(credited.advantages_BT[0][: len(tokens)], 0.7071, atol=1e-3)


def test_metrics_are_what_a_hand_count_gives():
    verdict = found("3+4=8", usage=Usage(calls=1, usd=0.25, latency_s=2.0))
    credited, _ = credit([RIGHT, WRONG], {WRONG: verdict}, "sparse", on_miss="drop", on_failure="drop")
    length = len(TOKENIZER.encode(RIGHT).ids)
    assert length == len(TOKENIZER.encode(WRONG).ids)
    metrics = credited.metrics
    assert (metrics["asked"], metrics["found"], metrics["cached"], metrics["usd"]) == (1, 1, 0, 0.25)
    assert metrics["latency_p50_s"] == metrics["latency_p95_s"] == 2.0
    assert metrics["span_tokens"] == 5
    assert metrics["credit_share"] == pytest.approx(5 / (2 * length))
    # Five tokens of -1/5 among 2L: mean -1/2L, mean square 1/(5 * 2L).
    rows = 2 * length
    assert metrics["advantage_variance"] == pytest.approx(1 / (5 * rows) - 1 / rows**2, rel=1e-4)
    assert metrics["advantage_variance_grpo"] == pytest.approx(0.5, rel=1e-4)  # half +0.7071, half -0.7071


@pytest.mark.parametrize(
    ("verdict", "reason", "option"),
    [
        (Verdict(Tag.NO_ERROR), "no_error", "on_miss"),
        (Verdict(Tag.ABSTAINED), "abstained", "on_miss"),
        (found("a sentence that is nowhere"), "quote_not_found", "on_miss"),
        (found("..."), "quote_junk", "on_miss"),
        (Verdict(Tag.TIMEOUT), "timeout", "on_failure"),
        (Verdict(Tag.REFUSED), "refused", "on_failure"),
        (Verdict(Tag.MALFORMED), "malformed", "on_failure"),
        (Verdict(Tag.RATE_LIMITED), "rate_limited", "on_failure"),
        (Verdict(Tag.REJECTED), "rejected", "on_failure"),
    ],
)
def test_every_outcome_has_its_declared_fallback_and_is_counted(verdict, reason, option):
    other = "on_failure" if option == "on_miss" else "on_miss"
    settings = {other: "raise"}
    dropped, _ = credit([RIGHT, WRONG], {WRONG: verdict}, **settings, **{option: "drop"})
    assert dropped.missed == {reason: 1}
    assert not dropped.advantages_BT[1].any()
    assert dropped.advantages_BT[0].any()  # its grade stays in the group's baseline
    plain, _ = credit([RIGHT, WRONG], {WRONG: verdict}, **settings, **{option: "grpo"})
    np.testing.assert_allclose(plain.advantages_BT[1], -0.7071, atol=1e-3)
    with pytest.raises(UsageError, match=f"no usable span: {reason}.*set {option} to 'mean', 'grpo' or 'drop'"):
        credit([RIGHT, WRONG], {WRONG: verdict}, **{option: "raise"})


def test_plain_grpo_asks_nothing():
    credited, oracle = credit([RIGHT, WRONG], {}, "grpo")
    assert oracle.asked == []
    np.testing.assert_allclose(np.abs(credited.advantages_BT), 0.7071, atol=1e-3)


def test_equal_answers_are_asked_about_once_and_count_as_cached():
    credited, oracle = credit([WRONG, WRONG, RIGHT, WRONG], {WRONG: found("3+4=8")})
    assert len(oracle.asked) == 1
    assert (credited.metrics["asked"], credited.metrics["cached"]) == (3, 2)


@pytest.mark.parametrize(("after", "before"), [("\n\n", ""), (" ", "\n"), ("", "")])
def test_the_last_step_ends_with_the_answer_whatever_stands_behind_it(after, before):
    text = f"{before}3+4=8\n#### 8{after}"
    ids = TOKENIZER.encode(text).ids
    first = next(i for i in range(len(ids)) if TOKENIZER.decode(ids[: i + 1]).strip() == "3+4=8") + 1
    credited, _ = credit([RIGHT, text], {text: found("3+4=8")}, "study.survival:survival")
    assert list(credited.batch.step_ends[1]) == [first, len(ids)]


def test_the_formulas_that_want_them_get_steps_and_log_probs():
    # Two lines: "3+4=8" has five tokens, the line break and "#### 8" make the rest.
    length = len(TOKENIZER.encode(WRONG).ids)
    credited, _ = credit([RIGHT, WRONG], {WRONG: found("3+4=8")}, "study.survival:survival")
    assert [list(ends) for ends in credited.batch.step_ends] == [[5, length]] * 2
    # One of two fails in the first step: V_0 = 1/2, V_1 = V_2 = 1.
    np.testing.assert_allclose(credited.advantages_BT[1], [-0.5] * 5 + [0] * (length - 5))
    np.testing.assert_allclose(credited.advantages_BT[0], [0.5] * 5 + [0] * (length - 5))
    sampled = [
        dataclasses.replace(completion(t), logprobs=np.log(np.linspace(0.5, 1, length, dtype=np.float32)))
        for t in (RIGHT, WRONG)
    ]
    pipeline = CreditPipeline(None, Aligner(TOKENIZER), formula("probability_mask"), Weights(), 2)
    credited = pipeline.redeem(pipeline.submit(sampled))
    unsure_T = np.linspace(0.5, 1, length) < 0.9
    np.testing.assert_array_equal(credited.advantages_BT != 0, [unsure_T, unsure_T])


def test_an_empty_completion_is_a_miss_and_no_error():
    credited, _ = credit([RIGHT, ""], {"": Verdict(Tag.ABSTAINED)}, on_miss="drop")
    assert credited.advantages_BT.shape[0] == 2
    assert not credited.advantages_BT[1].any()


def test_a_cut_off_answer_is_not_asked_about_and_is_its_own_miss():
    cut = dataclasses.replace(completion(WRONG), truncated=True)
    oracle = Scripted({})
    with CALOracle(oracle) as asked:
        pipeline = CreditPipeline(asked, Aligner(TOKENIZER), formula("prefix"), Weights(), 2, on_truncated="drop")
        credited = pipeline.redeem(pipeline.submit([completion(RIGHT), cut]))
    assert oracle.asked == []
    assert credited.missed == {"truncated": 1}
    assert (credited.metrics["cut_share"], credited.metrics["asked"]) == (0.5, 0)
    assert not credited.advantages_BT[1].any()
    with pytest.raises(UsageError, match=r"cut off after 9 tokens.*set on_truncated to 'mean', 'grpo' or 'drop'"):
        dataclasses.replace(pipeline, on_truncated="raise").redeem(pipeline.submit([completion(RIGHT), cut]))


def test_a_right_answer_that_was_cut_off_stays_right():
    cut = dataclasses.replace(completion(RIGHT), truncated=True)
    pipeline = CreditPipeline(None, Aligner(TOKENIZER), formula("prefix"), Weights(), 2)
    credited = pipeline.redeem(pipeline.submit([cut, completion(RIGHT)]))
    assert credited.missed == {}
    np.testing.assert_allclose(credited.advantages_BT, 0.3, rtol=1e-6)


OTHER = "3+4=9\n#### 9"


def test_not_being_found_costs_what_being_found_costs_on_the_average():
    length = len(TOKENIZER.encode(WRONG).ids)
    script = {WRONG: found("3+4=8"), OTHER: Verdict(Tag.ABSTAINED)}
    credited, _ = credit([WRONG, OTHER], script, "sparse")
    np.testing.assert_allclose(credited.advantages_BT.sum(axis=1), [-1, -1], rtol=1e-5)
    np.testing.assert_allclose(credited.advantages_BT[1], -1 / length, rtol=1e-5)
    # prefix pays 0.3 for three tokens and takes 1 for two: -1.1 in all.
    credited, _ = credit([WRONG, OTHER], script | {WRONG: found("=8")}, "prefix")
    np.testing.assert_allclose(credited.advantages_BT.sum(axis=1), [-1.1, -1.1], rtol=1e-5)


def test_where_nothing_was_found_a_miss_is_as_in_grpo_and_never_paid():
    credited, _ = credit([RIGHT, OTHER], {OTHER: Verdict(Tag.ABSTAINED)})
    np.testing.assert_allclose(credited.advantages_BT[1], -0.7071, atol=1e-3)
    generous = [completion(RIGHT), dataclasses.replace(completion(OTHER), reward=2.0)]  # a reward of the user's own
    with CALOracle(Scripted({OTHER: Verdict(Tag.ABSTAINED)})) as asked:
        pipeline = CreditPipeline(asked, Aligner(TOKENIZER), formula("prefix"), Weights(), 2)
        credited = pipeline.redeem(pipeline.submit(generous))
    assert not credited.advantages_BT[1].any()


def test_a_found_error_that_sums_to_more_than_zero_pays_no_miss():
    long = "We have 3 and 4, and we want their sum, which is\n3+4=8\n#### 8"
    credited, _ = credit([long, OTHER], {long: found("=8"), OTHER: Verdict(Tag.NO_ERROR)}, "prefix")
    assert credited.advantages_BT[0].sum() > 0
    assert not credited.advantages_BT[1].any()


@pytest.mark.parametrize("verdict", [Verdict(Tag.ABSTAINED), Verdict(Tag.REFUSED), found("nowhere to be seen")])
def test_a_policy_that_hides_its_errors_earns_nothing_by_it(verdict):
    """An adversary of four wrong answers: whatever it does to be missed, a row that is missed loses no less than before."""
    texts = [f"3+4={n}\n#### {n}" for n in (8, 9, 10, 11)]
    honest, _ = credit(texts, {t: found(t.splitlines()[0]) for t in texts}, "sparse")
    for hidden in range(1, 4):
        script = {t: verdict if i < hidden else found(t.splitlines()[0]) for i, t in enumerate(texts)}
        sly, _ = credit(texts, script, "sparse")
        assert (sly.advantages_BT.sum(axis=1) <= honest.advantages_BT.sum(axis=1) + 1e-6).all()


def test_the_credit_is_the_same_whatever_the_parts_of_an_update_are():
    texts = [RIGHT, OTHER, WRONG, RIGHT]
    script = {WRONG: found("3+4=8"), OTHER: Verdict(Tag.ABSTAINED)}
    with CALOracle(Scripted(script)) as asked:
        pipeline = CreditPipeline(asked, Aligner(TOKENIZER), formula("prefix"), Weights(), 2)
        whole = pipeline.redeem(pipeline.submit([completion(t) for t in texts]))
        update = Update(pipeline)
        parts = [pipeline.submit([completion(t) for t in texts[rows]]) for rows in (slice(0, 2), slice(2, 4))]
        for part in parts:
            update.add(part)
        update.close()
        apart = np.concatenate([update.redeem(part).advantages_BT for part in parts])
    np.testing.assert_array_equal(whole.advantages_BT, apart)
    assert whole.advantages_BT[1].sum() == pytest.approx(whole.advantages_BT[2].sum(), rel=1e-5)


def test_a_part_that_needs_no_other_does_not_wait_for_the_update():
    with CALOracle(Scripted({WRONG: found("3+4=8")})) as asked:
        update = Update(pipeline := CreditPipeline(asked, Aligner(TOKENIZER), formula("prefix"), Weights(), 2))
        update.add(part := pipeline.submit([completion(RIGHT), completion(WRONG)]))
        assert update.redeem(part).metrics["found"] == 1  # the update is not closed


def test_the_end_token_has_the_last_tokens_credit():
    rows = [dataclasses.replace(completion(t), end_token=True) for t in (RIGHT, WRONG, "")]
    with CALOracle(Scripted({WRONG: found("#### 8"), "": Verdict(Tag.ABSTAINED)})) as asked:
        pipeline = CreditPipeline(asked, Aligner(TOKENIZER), formula("balanced"), Weights(), 3)
        credited = pipeline.redeem(pipeline.submit(rows))
    length = len(rows[0].token_ids)
    assert credited.advantages_BT.shape == (3, length + 1)
    assert credited.advantages_BT[0, length] == credited.advantages_BT[0, length - 1] > 0
    assert credited.advantages_BT[1, length] == credited.advantages_BT[1, length - 1] == -1
    assert credited.advantages_BT[2, 0] < 0  # an empty answer's only token
    assert credited.metrics["credit_share"] <= 1
