"""Which questions are held out."""

import hashlib
import itertools
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.config import TrainConfig
from cal_grpo.tasks import load_task, stories
from cal_grpo.tasks.gsm_symbolic import problems
from cal_grpo.tasks.split import key_of, split_of

FORMS = ("NFC", "NFD", "NFKC", "NFKD")


@given(st.text(), st.sampled_from(FORMS))
def test_no_unicode_form_makes_another_question(question, form):
    assert key_of(unicodedata.normalize(form, question)) == key_of(question)


@given(
    st.text(st.characters(codec="ascii")), st.sampled_from([" ", "\n", "\t", "\u00a0", "\u3000", "\u200b", "\ufeff", "\r\n"])
)
def test_neither_case_nor_white_space_makes_another_question(question, space):
    for other in (question.upper(), question.lower(), f"{space}{question}{space}", space.join(question)):
        assert key_of(other) == key_of(question)


def test_other_letters_and_other_digits_do():
    assert len({key_of(q) for q in ("2 + 2?", "2 + 3?", "2 - 2?", "What is é?", "What is e?")}) == 5


def variants(question):
    yield from (question, f" {question}", question.upper(), question.replace(" ", "  "), question.replace(" ", "\u00a0"))
    yield from (unicodedata.normalize(form, question) for form in FORMS)


def test_a_question_in_all_its_spellings_is_on_one_side(tmp_path):
    questions = [f"Café {i}: how many ½ pints are {i} ﬁlls?" for i in range(91)]
    rows = [{"question": spelled, "answer": i} for i, question in enumerate(questions) for spelled in variants(question)]
    file = tmp_path / "data.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = load_task(TrainConfig(task="jsonl", data=file, max_eval_samples=10_000))
    train, held_out = ({e.answer for e in part} for part in (task.train, task.eval))
    assert len(task.train) + len(task.eval) == len(rows)
    assert len(train) + len(held_out) == 91  # each whole on one side
    assert held_out


def test_answers_that_differ_for_one_question_are_said(tmp_path):
    file = tmp_path / "data.jsonl"
    rows = [{"question": f"q{i}", "answer": i} for i in range(50)] + [
        {"question": "Q 1", "answer": 9},
        {"question": "q2 ", "answer": 2},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (note,) = load_task(TrainConfig(task="jsonl", data=file)).notes
    assert note.startswith("2 questions of data")
    assert note.endswith("1 of them with answers that differ")


def test_a_held_out_part_that_is_empty_is_said_unless_none_was_asked_for(tmp_path):
    file = tmp_path / "data.jsonl"
    question = next(f"q{i}" for i in range(100) if split_of(f"q{i}") == "train")
    file.write_text(json.dumps({"question": question, "answer": 1}))
    config = TrainConfig(task="jsonl", data=file)
    assert load_task(config).notes == ("no question is held out, so accuracy will not be measured",)
    assert load_task(config.model_copy(update={"max_eval_samples": 0})).notes == ()


@pytest.mark.parametrize(
    ("split", "ledger", "symbolic"),
    [("train", "b351a92035eff655", "c105cb8630e22a0d"), ("eval", "ccd8a40012d2503d", "a9ec8bc3d07bee48")],
)
def test_generated_questions_stay_on_the_side_where_published_runs_had_them(split, ledger, symbolic):
    # digests of the questions that the study's runs trained and were measured on
    def digest(examples):
        return hashlib.sha256("".join(e.question + e.answer + e.reference for e in examples).encode()).hexdigest()[:16]

    streams = [stories(seed=seed, steps=steps, split=split) for steps in (2, 8) for seed in (0, 3)]
    assert digest(itertools.chain(*(itertools.islice(stream, 300) for stream in streams))) == ledger
    assert digest(itertools.islice(problems(seed=0, split=split), 300)) == symbolic
