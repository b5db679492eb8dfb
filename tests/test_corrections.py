"""What should have stood there, as ids behind the sampled ones: graded first, joined at a token, bounded, and no more."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from cal_grpo.alignment import Aligner
from cal_grpo.credit import Weights, check_corrections, formula
from cal_grpo.engines.reading import PlainText
from cal_grpo.errors import UsageError
from cal_grpo.grading import Grade, grade_answer
from cal_grpo.oracles import CALOracle, Tag, Verdict
from cal_grpo.pipeline import Completion, Corrector, CreditPipeline, Update
from cal_grpo.policies import EMBEDDED

TOKENIZER = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
PLAIN = PlainText(AutoTokenizer.from_pretrained(EMBEDDED))
END = 2
QUESTION, REFERENCE = "What is 3+4+2?", "3+4=7\n7+2=9\n#### 9"
WRONG = "3+4=7\n7+2=8\n#### 8"  # a digit or a sign a token; the second step begins at character 6, behind six tokens


class Says:
    """Blames the step with a quote, and says what should have stood there."""

    name = "says"

    def __init__(self, *said, segment="7+2=8"):
        self.said, self.segment, self.asked = list(said), segment, 0

    async def locate(self, query):
        said = self.said[self.asked % len(self.said)]
        self.asked += 1
        return Verdict(Tag.FOUND, segment=self.segment, correction=said)


def ids_of(text):
    return TOKENIZER.encode(text).ids


def completion(text=WRONG, ids=None, **more):
    def regrade(other):
        return grade_answer(other, "9")

    grade = regrade(text)
    given = {"end_token": True, "end_id": END, "regrade": regrade} | more
    return Completion(QUESTION, REFERENCE, ids or ids_of(text), grade, float(grade.correct), **given)


def pipeline_of(asked, mode="rest", group_size=2, baseline="group", credit="prefix", max_tokens=64, **more):
    corrector = Corrector(mode, PLAIN.continuing, max_tokens, **more)
    return CreditPipeline(
        asked, Aligner(TOKENIZER), formula(credit), Weights(), group_size, baseline=baseline, corrector=corrector
    )


def credited(rows, *said, segment="7+2=8", **settings):
    with CALOracle(Says(*said, segment=segment), concurrency=1, cache=False) as asked:
        pipeline = pipeline_of(asked, **settings)
        return pipeline.redeem(pipeline.submit(rows))


def one(said, mode="rest", row=None, **settings):
    """What is learned of one correction, or why it is not."""
    got = credited([row or completion(), completion(REFERENCE)], said, mode=mode, **settings)
    assert len(got.corrections) + len(got.left_out) == 1
    assert got.metrics["corrections_dropped"] == len(got.left_out)
    return got.left_out[0] if got.left_out else got.corrections[0]


def test_the_rest_follows_the_sampled_ids_before_the_error_and_ends_as_the_answer_did():
    got = credited([completion(), completion(REFERENCE)], "7+2=9\n#### 9")
    (correction,) = got.corrections
    assert (correction.row, correction.kept, correction.count) == (0, 6, 1)
    assert correction.token_ids == (*ids_of("7+2=9\n#### 9"), END)
    assert (got.metrics["corrections"], got.metrics["correction_tokens"]) == (1, len(correction.token_ids))
    assert got.advantages_BT[0, :9].tolist() == pytest.approx([0.3] * 6 + [-1] * 3)  # the credit is what it was


def test_of_a_step_the_first_is_learned_and_no_end():
    correction = one("7+2=9\n#### 9", mode="step")
    assert (correction.kept, correction.token_ids) == (6, tuple(ids_of("7+2=9")))
    assert one("#### 9", mode="step").token_ids == (*ids_of("#### 9"), END)  # all there is, and right


def test_without_a_trained_end_token_none_is_learned():
    assert one("7+2=9\n#### 9", row=completion(end_token=False)).token_ids == tuple(ids_of("7+2=9\n#### 9"))
    assert one("7+2=9\n#### 9", row=completion(end_id=77)).token_ids[-1] == 77  # its own


@pytest.mark.parametrize(
    ("said", "rest", "step"),
    [
        ("7+2=10\n#### 10", "wrong", "wrong"),  # a final answer that is wrong
        ("7+2=9\n", "unfinished", None),  # none, though its last number is right
        ("#### 8\n7+2=9\n#### 9", None, "wrong"),  # its first step alone would be a wrong one
        ("<think>#### 10", "wrong", "wrong"),  # hidden in thoughts
        ("<think>\n#### 10\n</think>", "wrong", "wrong"),
        ("7+2=8\n#### 9", None, "same"),  # begins with what is blamed
        (" \n ", "empty", "empty"),
        ("x" * 20_001, None, None),
        ("\ud83d 7+2=9\n#### 9", None, None),  # half a character
        ("7+2=9\n#### 9<|im_end|>", "wrong", "wrong"),
        ("7+2=9\n<|im_start|>\n#### 9", "spelling", None),
        ("<|im_end|>\n#### 9", "spelling", "spelling"),
        ("7+2=9\n" * 3000 + "#### 9", "long", None),
        ("7+2=9\x00\x1b[31m\n#### 9", None, None),
    ],
)
def test_what_is_graded_wrong_or_cannot_be_learned_is_left_out_with_its_reason(said, rest, step):
    for mode, expected in (("rest", rest), ("step", step)):
        got = credited([completion(), completion(REFERENCE)], said, mode=mode)
        specials = {0, 1, 2} & {i for c in got.corrections for i in c.token_ids[:-1]}
        assert not specials
        assert list(got.left_out.values()) == ([expected] if expected else [])
        np.testing.assert_array_equal(
            got.advantages_BT, credited([completion(), completion(REFERENCE)], "", mode=mode).advantages_BT
        )


def test_a_right_number_before_the_error_makes_no_correction_right():
    row = completion("2+7=9, so\n7+2=8\n#### 8")
    assert grade_answer("2+7=9, so\n", "9").correct
    assert one("That is all.", row=row) == "unfinished"
    assert one("<think> #### 8", row=row) == "wrong"
    assert one("#### 9", row=row).kept == len(ids_of("2+7=9, so\n"))


def test_where_answers_have_no_marker_a_stop_cannot_be_told_from_a_wrong_end():
    row = completion("3+4=7\n7+2=8")
    assert one("7+2=10", mode="step", row=row) == "wrong"
    assert one("7+2=9", mode="step", row=row).token_ids == (*ids_of("7+2=9"), END)


@pytest.mark.parametrize(("wrong", "said", "same"), [
    ("7+2=98", "7+2=9", False), ("7+2=9.5", "7+2=9", False), ("7+2=9,500", "7+2=9", False), ("7+2=9b", "7+2=9", False),
    ("7+2=8 or so", "7+2=8", True), ("7+2=8, I say", "7+2=8", True), ("7+2=8", "7+2=", True),
])  # fmt: skip
def test_a_number_that_another_begins_with_is_not_what_was_blamed(wrong, said, same):
    row = completion(f"3+4=7\n{wrong}\n#### 8")
    got = credited([row, completion(REFERENCE)], f"{said}\n#### 9", mode="step", segment=wrong)
    assert got.left_out == ({0: "same"} if same else {})
    assert [c.token_ids for c in got.corrections] == ([] if same else [tuple(ids_of(said))])


def test_what_ends_behind_the_longest_completion_is_left_out():
    size = 6 + len(ids_of("7+2=9\n#### 9")) + 1
    assert one("7+2=9\n#### 9", max_tokens=size).kept == 6
    assert one("7+2=9\n#### 9", max_tokens=size - 1) == "long"


def test_a_cut_within_a_token_goes_back_to_the_tokens_beginning():
    text, right = (f"It is 3+4=7. Then 7+2={n}.\n#### {n}" for n in (8, 9))
    row = completion(text)
    correction = one("Then 7+2=9.\n#### 9", row=row)
    assert TOKENIZER.decode(row.token_ids[: correction.kept]) == "It is 3+4=7."  # the space is of the token that is cut
    assert [*row.token_ids[: correction.kept], *correction.token_ids] == [*ids_of(right), END]


def test_equal_corrections_of_a_group_are_one_and_of_two_groups_are_not():
    rows = [completion(), completion(), completion(), completion(REFERENCE)]
    got = credited(rows, "7+2=9\n#### 9", group_size=2)
    assert [(c.row, c.count) for c in got.corrections] == [(0, 2), (2, 1)]  # two groups' prompts may differ
    assert got.metrics["corrections"] == 3
    apart = credited([completion(), completion(f"{WRONG}.")], "7+2=9\n#### 9", "7+2=9.\n#### 9", group_size=2)
    assert [c.count for c in apart.corrections] == [1, 1]


def test_copies_of_the_reference_are_counted_and_dropped_on_request():
    row = completion("Three and four make 7.\nSeven and two make 8.\n#### 8")
    for copies, learned, left_out in (("keep", 1, 0), ("drop", 0, 1)):
        got = credited([row, completion(REFERENCE)], REFERENCE, segment="Seven and two make 8.", copies=copies)
        assert (len(got.corrections), len(got.left_out)) == (learned, left_out)
        assert got.metrics["corrections_copied"] == 1
        assert got.metrics.get("corrections_dropped/copied", 0) == left_out
    own = credited([row, completion(REFERENCE)], "Seven and two make 9.\n#### 9", segment="Seven and two", copies="drop")
    assert (own.metrics["corrections_copied"], len(own.corrections)) == (0, 1)


def test_a_formula_that_asks_nobody_is_asked_for_its_corrections_alone():
    got = credited([completion(), completion(REFERENCE)], "7+2=9\n#### 9", credit="grpo")
    np.testing.assert_allclose(got.advantages_BT[0, :6], -0.70711, rtol=1e-4)
    assert len(got.corrections) == 1
    assert not got.missed


def test_corrections_are_trained_only_where_they_can_be_graded():
    with pytest.raises(ValueError, match="no regrade"):
        one("7+2=9\n#### 9", row=completion(regrade=None))


LLM = {"model": "m", "base_url": "http://127.0.0.1:9", "api_key": "k"}


@pytest.mark.parametrize(
    ("asked", "settings"),
    [("openai", LLM), ("openai", LLM | {"style": "steps"}), ("arithmetic > openai", LLM), ("arithmetic", {})],
)
def test_corrections_of_an_oracle_that_brings_none_are_refused_before_anything_is_asked(asked, settings):
    with CALOracle(asked, **settings) as oracle, pytest.raises(UsageError, match=r"brings none; expected .*corrections=True"):
        pipeline_of(oracle)


@pytest.mark.parametrize(
    ("asked", "settings"),
    [
        ("openai", LLM | {"corrections": True}),
        ("openai", LLM | {"style": "repair"}),
        ("reference", {}),
        ("arithmetic > reference", {}),
        (Says("7+2=9\n#### 9"), {}),
    ],
)
def test_one_that_may_bring_some_is_taken(asked, settings):
    with CALOracle(asked, **settings) as oracle:
        assert pipeline_of(oracle).oracle is oracle


def test_a_grader_of_ones_own_decides():
    def reads_words(text):
        return Grade(text.rstrip().endswith("nine!"), text[-5:], "nine!", "text")

    row = completion("3+4=7\n7+2=8\neight!", regrade=reads_words)
    assert one("7+2=9\nnine!", row=row).token_ids == (*ids_of("7+2=9\nnine!"), END)
    assert one("7+2=9\neight!", row=row) == "wrong"


TEXTS = [WRONG, "It is 3+4=7. Then 7+2=8.\n#### 8", "7+2=8", "\n\n7+2=8\n#### 8", "é☃ 3+4=7\n7+2=8\n#### 8"]
SAID = ["7+2=9\n#### 9", "Then 7+2=9.\n#### 9", "#### 9", "7+2=9", "", "7+2=10\n#### 10", "  ☃\t7+2=9\r\n#### 9"]


@settings(max_examples=60, deadline=None)
@given(
    text=st.sampled_from(TEXTS),
    said=st.sampled_from(SAID) | st.text(max_size=40) | st.text(max_size=20).map(lambda text: f"{text}\n#### 9"),
    mode=st.sampled_from(["rest", "step"]),
    data=st.data(),
)
def test_what_is_learned_is_what_was_graded_behind_a_prefix_of_what_was_sampled(text, said, mode, data):
    ids = _sampled(text, data)
    row = completion(text, ids)
    got = credited([row, completion(REFERENCE)], said, mode=mode)
    for correction in got.corrections:
        kept = ids[: correction.kept]
        own = [i for i in correction.token_ids if i != END]
        assert TOKENIZER.decode([*kept, *own], skip_special_tokens=False) in [
            text[: text.index("7+2=8") if "Then" not in text else text.index("Then")] + part
            for part in (said.rstrip(), said[: len(said)], *_beginnings(said))
        ]
        if mode == "rest":
            assert grade_answer(TOKENIZER.decode([*kept, *own], skip_special_tokens=False), "9").correct
        assert not {0, 1, 2} & set(own)
        assert correction.kept + len(correction.token_ids) <= 64


def _sampled(text, data):
    """Ids of a text in a segmentation of its own: a piece is cut at any character."""
    at = data.draw(st.integers(0, len(text)))
    return ids_of(text[:at]) + ids_of(text[at:])


def _beginnings(text):
    return [text[:end] for end in range(len(text) + 1)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([*TEXTS, REFERENCE]), min_size=2, max_size=6), st.data())
def test_how_an_update_is_split_changes_no_correction(texts, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(texts) - 1))))
    sizes = np.diff([0, *cuts, len(texts)])
    rows = [completion(text) for text in texts]
    found = []
    for parts in ([len(texts)], sizes):
        with CALOracle(Says("7+2=9\n#### 9", segment="7+2=8"), cache=False) as asked:
            pipeline = pipeline_of(asked, group_size=1, baseline="batch")
            update, ends = Update(pipeline), np.cumsum(parts)
            pending = [pipeline.submit(rows[end - size : end]) for end, size in zip(ends, parts, strict=True)]
            for part in pending:
                update.add(part)
            update.close()
            got = [update.redeem(part) for part in pending]
        found.append(
            sorted(
                (int(end - size + c.row), c.kept, c.token_ids, c.count)
                for end, size, part in zip(ends, parts, got, strict=True)
                for c in part.corrections
            )
        )
        assert sum(part.metrics["corrections"] for part in got) == sum(text != REFERENCE for text in texts)
    assert found[0] == found[1]


def test_reasons_are_told_with_the_part_they_are_of():
    with CALOracle(Says("7+2=10\n#### 10"), cache=False) as asked:
        pipeline = pipeline_of(asked, group_size=1, baseline="batch")
        parts = [pipeline.submit([completion(text)]) for text in (REFERENCE, WRONG)]
        update = Update(pipeline)
        for part in parts:
            update.add(part)
        update.close()
        first, second = (update.redeem(part) for part in parts)
    assert (first.left_out, second.left_out) == ({}, {0: "wrong"})
    assert "corrections_dropped/wrong" not in first.metrics
    assert second.metrics["corrections_dropped/wrong"] == second.metrics["corrections_dropped"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("all", 1.0), "corrections is 'all'; expected one of off, step, rest"),
        (("rest", -1.0), "correction_weight is -1.0; expected a number of 0 or more"),
        (("rest", float("nan")), "correction_weight is nan"),
        (("rest", float("inf")), "correction_weight is inf"),
        (("rest", 1.0, "maybe"), "correction_copies is 'maybe'; expected one of keep, drop"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(arguments, message):
    with pytest.raises(UsageError, match=r"^[^\n]*$") as error:
        check_corrections(*arguments)
    assert message in str(error.value)
    with pytest.raises(UsageError, match="the engine's own trainer learns none"):
        check_corrections("rest", 1.0, use_cal=False)


def test_every_reason_sums_up():
    got = credited([completion(), completion(f"{WRONG}.")], "7+2=10\n#### 10", "7+2=9")
    assert Counter(got.left_out.values()) == {"wrong": 1, "unfinished": 1}
    assert got.metrics["corrections_dropped"] == 2
