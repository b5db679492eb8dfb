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
from cal_grpo.pipeline import Completion, CreditPipeline
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
    with CALOracle(oracle) as asked:
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
