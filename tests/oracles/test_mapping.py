"""A quote that is too long is cut to its step, not lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from cal_grpo.alignment import Aligner, Miss, TokenSpan
from cal_grpo.oracles import Tag, Verdict, blamed, corrected, split_steps
from cal_grpo.policies import EMBEDDED

TOKENIZER = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
STEPS = ["Tom has 2 + 3 = 6 apples.", "Then he gives 1 away.", "So 5 are left, and that is the answer to the question."]


def blame(response, segment, limit, hint=None):
    aligner = Aligner(TOKENIZER, limit)
    decoded = aligner.decode(TOKENIZER.encode(response, add_special_tokens=False).ids)
    outcome = blamed(aligner, decoded, Verdict(Tag.FOUND, "", segment, hint))
    return response[outcome.char_start : outcome.char_end] if isinstance(outcome, TokenSpan) else outcome


@pytest.mark.parametrize("join", ["\n", " "])
def test_a_quote_over_several_steps_is_cut_to_the_first(join):
    response = join.join(STEPS)
    assert blame(response, response, 200) == response
    limit = len(TOKENIZER.encode(STEPS[0]).ids) + 2
    assert blame(response, response, limit) == STEPS[0]
    assert blame(response, response[14:], limit) == STEPS[0][14:]  # as far as it was quoted
    assert blame(response, STEPS[1], limit) == STEPS[1]


def test_a_step_that_is_too_long_itself_is_cut_to_its_end():
    response = "And " * 60 + "so it is 12."
    cut = blame(response, response, 64)
    assert cut.endswith("so it is 12.")
    assert response.endswith(cut)


@pytest.mark.parametrize("limit", [1, 5, 16, 64])
@pytest.mark.parametrize("response", ["And " * 60 + "so it is 12.", "一二三四五" * 30 + "等于十二", "1" * 300])
def test_whatever_the_limit_nothing_is_lost(response, limit):
    aligner = Aligner(TOKENIZER, limit)
    decoded = aligner.decode(TOKENIZER.encode(response, add_special_tokens=False).ids)
    for segment in (response, f"{response}\n"):
        span = blamed(aligner, decoded, Verdict(Tag.FOUND, "", segment))
        assert isinstance(span, TokenSpan)
        assert 0 < len(span) <= limit
        assert decoded.tokens(span.char_start, span.char_end)[1] == span.end


def test_the_step_of_the_place_that_was_meant():
    response = "\n".join([*STEPS, "In short:", *STEPS])
    aligner = Aligner(TOKENIZER, len(TOKENIZER.encode(STEPS[0]).ids) + 2)
    decoded = aligner.decode(TOKENIZER.encode(response, add_special_tokens=False).ids)
    verdict = Verdict(Tag.FOUND, "", "\n".join(STEPS), "In short:\n")
    assert blamed(aligner, decoded, verdict).char_start == response.rindex(STEPS[0])


def test_what_is_not_there_is_still_a_miss():
    assert isinstance(blame("1+1=3", "9+9=19 and much more of the like", 64), Miss)


ALIGNER = Aligner(TOKENIZER)
LINES = st.lists(st.sampled_from([*STEPS, "1+1=3", "2. Then 4*3=13!", "- so:", "", "  And " * 40]), min_size=1, max_size=8)


@given(LINES, st.sampled_from(["\n", " ", "\n\n"]), st.data())
def test_a_correction_cuts_the_step_that_is_blamed(lines, join, data):
    response = join.join(lines)
    start = data.draw(st.integers(0, len(response)))
    segment = response[start : start + data.draw(st.integers(1, 80))]
    if not segment.strip():
        return
    verdict = Verdict(Tag.FOUND, "", segment, response[max(0, start - 40) : start], correction="right")
    decoded = ALIGNER.decode(TOKENIZER.encode(response, add_special_tokens=False).ids)
    assert decoded.text == response
    span, place = blamed(ALIGNER, decoded, verdict), corrected(response, verdict)
    if isinstance(span, TokenSpan):
        quoted = [s.start for s in split_steps(response) if s.start < span.char_end and span.char_start < s.end]
        worded = next(i for i in range(span.char_start, span.char_end) if response[i].isalnum())
        assert place == (max(at for at in quoted if at <= worded), "right")
