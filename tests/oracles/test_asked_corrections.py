"""Corrections that an LLM wrote: asked for, read, kept, and given again."""

import json
import re

import pytest
from _judge_server import answer, verdict
from hypothesis import assume, given
from hypothesis import strategies as st

from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, ReferenceOracle, Tag, Verdict, corrected, split_steps
from cal_grpo.oracles.departure import departure
from cal_grpo.oracles.judges import FewShot, read_answer, static_prompt, style_of
from cal_grpo.oracles.memory import read_verdict, request_digest, verdict_record
from cal_grpo.oracles.several import Cascade, Vote
from cal_grpo.oracles.types import Usage

RESPONSE = "Ann has 3 bags of 4 nuts.\nThat is 3 + 4 = 7 nuts.\nShe eats 2, so 7 - 2 = 5 are left.\nA: 5"
REFERENCE = "There are 3 * 4 = 12 nuts in all her bags at first.\n12 - 2 = 10\n#### 10"
RIGHT = "That is 3 * 4 = 12 nuts.\nShe eats 2, so 12 - 2 = 10 are left.\nA: 10"
QUERY = Query("How many nuts?", REFERENCE, RESPONSE)
CUT = RESPONSE.index("That is")


def said(correction, segment="3 + 4 = 7", **more):
    return json.dumps({"critique": "it adds", "segment": segment, "hint": "", "correction": correction} | more)


# The repair style


@pytest.mark.parametrize(
    ("fixed", "cut", "rest"),
    [
        (f"Ann has 3 bags of 4 nuts.\n{RIGHT}\n", "That is", f"{RIGHT}\n"),
        # other words for a right step stay the response's own
        (f"Ann has 3 bags with 4 nuts.\n\n  {RIGHT}", "That is", RIGHT),
        # a step put in stands before the rest
        (f"Ann has 3 bags of 4 nuts.\nShe counts them all.\n{RIGHT}", "That is", f"She counts them all.\n{RIGHT}"),
        # one put in behind the end: the last step is blamed, and stands once more
        (f"{RESPONSE}\nNo, 10 are left.", "A: 5", "A: 5\nNo, 10 are left."),
        # a step left out in the middle, and at the end
        ("Ann has 3 bags of 4 nuts.\nShe eats 2, so 7 - 2 = 5 are left.", "That", "She eats 2, so 7 - 2 = 5 are left."),
        ("Ann has 3 bags of 4 nuts.\nThat is 3 + 4 = 7 nuts.\nShe eats 2, so 7 - 2 = 5 are left.", "A: 5", ""),
    ],
)  # fmt: skip
def test_a_repaired_response_goes_on_from_the_counterpart_of_the_first_departing_step(fixed, cut, rest):
    leaves = departure(RESPONSE, fixed)
    assert (leaves.cut, leaves.rest) == (RESPONSE.index(cut), rest)


def test_the_repair_style_keeps_what_the_judge_wrote(server, connect):
    server.script = lambda r: answer(r, json.dumps({"corrected": f"Ann has 3 bags of 4 nuts.\n{RIGHT}", "critique": "it adds"}))
    (found,) = connect(style="repair").locate([QUERY])
    assert corrected(RESPONSE, found) == (CUT, RIGHT)


texts = st.text(alphabet="ab1 2+=.\n", max_size=60)


@given(texts, texts)
def test_before_the_cut_nothing_is_touched(response, fixed):
    answered = json.dumps({"corrected": fixed, "critique": ""})
    found = read_answer(answered, Usage(), Query("q", "r", response), style_of("repair"))
    if (place := corrected(response, found)) is not None:
        cut, rest = place
        assert cut in [step.start for step in split_steps(response)]
        assert fixed.endswith(rest)
        assert response[cut:].strip() != rest.strip()


# The direct and the steps style


@pytest.mark.parametrize("style", ["direct", "steps"])
def test_a_judge_is_asked_for_the_correction_last_and_only_where_it_is_wanted(server, connect, protocol, style):
    where = {"segment": "3 + 4 = 7", "hint": ""} if style == "direct" else {"step": 2}
    server.script = lambda r: answer(r, json.dumps({"critique": "it adds"} | where | {"correction": RIGHT}))
    (found,) = connect(style=style, corrections=True).locate([QUERY])
    assert corrected(RESPONSE, found) == (CUT, RIGHT)
    (unasked,) = connect(style=style).locate([QUERY])
    assert unasked.correction == ""
    schemas = []
    for request in server.requests:
        body = request.body
        schemas.append(
            body["generationConfig"]["responseJsonSchema"]
            if protocol == "gemini"
            else body["response_format"]["json_schema"]["schema"]
        )
    assert [list(schema["properties"])[-1] == "correction" for schema in schemas] == [True, False]
    assert ['"correction"' in request.system for request in server.requests] == [True, False]


def test_the_field_may_be_missing(server, connect):
    server.script = lambda r: answer(r, verdict("3 + 4 = 7"))
    (found,) = connect(corrections=True).locate([QUERY])
    assert (found.tag, found.segment, found.correction, found.detail) == (Tag.FOUND, "3 + 4 = 7", "", "")
    assert len(server.requests) == 1


STYLE = style_of("direct", corrections=True)


@pytest.mark.parametrize("nothing", [None, "", "  ", "None.", "null", "n/a", "...", 5, ["x"], RESPONSE[CUT:], RESPONSE])
def test_what_is_no_correction_is_none(nothing):
    found = read_answer(said(nothing), Usage(), QUERY, STYLE)
    assert (found.tag, found.correction) == (Tag.FOUND, "")


@given(st.text() | texts | st.none() | st.integers(), st.sampled_from(["3 + 4 = 7", "7 - 2 = 5", "A: 5", "nowhere at all"]))
def test_whatever_a_judge_writes_it_is_a_verdict(correction, segment):
    # A control character before a letter is LaTeX whose backslash JSON ate, and is put right: "\\f" of "\\frac".
    assume(not isinstance(correction, str) or not re.search(r"[\b\f]|[\r\t](?=[A-Za-z])|\n(?=[c-zA-Z])", correction))
    found = read_answer(said(correction, segment), Usage(), QUERY, STYLE)
    assert found.tag is Tag.FOUND
    assert found.correction == "" or correction.strip().endswith(found.correction)
    assert (corrected(RESPONSE, found) is None) == (found.correction == "")


def test_the_response_s_right_beginning_is_not_said_twice():
    first = RESPONSE[:CUT].strip()
    assert read_answer(said(f"{first}\n{RIGHT}"), Usage(), QUERY, STYLE).correction == RIGHT
    short = Query("q", "r", "1+1=2\n2+1=4")
    assert read_answer(said("1+1=20", "2+1=4"), Usage(), short, STYLE).correction == "1+1=20"  # no beginning of it


def test_nor_where_the_judge_laid_it_out_otherwise():
    query = Query("q", "r", "1+1=2\n\n2+1=3\n3+1=5\n#### 5")
    for beginning in ("1+1=2\n2+1=3\n", "1+1=2 2+1=3\n\n", "1+1=2\n\n2+1=3\n"):
        assert read_answer(said(f"{beginning}3+1=4\n#### 4", "3+1=5"), Usage(), query, STYLE).correction == "3+1=4\n#### 4"
    for other in ("1+1=2\n3+1=4\n#### 4", "1+1=2\n2+1=30\n#### 4"):  # another beginning
        assert read_answer(said(other, "3+1=5"), Usage(), query, STYLE).correction == other


def test_half_a_character_is_never_learned_as_another_one(server, connect):
    halves = {"direct": {"segment": "3 + 4 = 7", "correction": f"\ud83d {RIGHT}"},
              "repair": {"corrected": f"Ann has 3 bags of 4 nuts.\n\ud83d {RIGHT}"}}  # fmt: skip
    for style, fields in halves.items():
        server.script = lambda r, fields=fields: answer(r, json.dumps({"critique": "\ud83d it adds"} | fields))
        (found,) = connect(style=style, corrections=True).locate([QUERY])
        assert (found.tag, found.correction, found.critique) == (Tag.FOUND, "", "? it adds")
        assert found.detail == "its correction holds half of a surrogate pair, which is no character"


def test_a_quote_that_is_not_there_has_no_correction():
    found = read_answer(said(RIGHT, "4 * 4 = 16 pears"), Usage(), QUERY, STYLE)
    assert (found.again, found.correction) == ("quote", "")
    nothing = read_answer(said(RIGHT, ""), Usage(), QUERY, STYLE)
    assert (nothing.tag, nothing.correction) == (Tag.NO_ERROR, "")


def test_an_answer_that_breaks_off_in_its_correction_still_says_where():
    for end in (-3, -40):
        found = read_answer(said(RIGHT)[:end], Usage(), QUERY, STYLE, cut="cut off")
        assert (found.tag, found.segment, found.correction) == (Tag.FOUND, "3 + 4 = 7", "")
    steps = style_of("steps", corrections=True)
    found = read_answer('{"critique": "x", "step": 2, "correction": "That is 3', Usage(), QUERY, steps, cut="cut off")
    assert found.segment == "That is 3 + 4 = 7 nuts."
    assert read_answer(said(RIGHT)[:40], Usage(), QUERY, STYLE, cut="cut off").tag is Tag.MALFORMED


def test_a_draft_does_not_stand_for_the_answer_that_breaks_off_behind_it():
    draft = json.dumps({"critique": "perhaps", "segment": "7 - 2 = 5", "hint": ""})
    for first in (draft, said("A: 10", "A: 5")):
        found = read_answer(f"{first}\nNo, again:\n{said(RIGHT)[:-20]}", Usage(), QUERY, STYLE, cut="cut off")
        assert (found.segment, found.correction) == ("3 + 4 = 7", "")
    whole = read_answer(f"{draft}\n{said(RIGHT)}\nThat is", Usage(), QUERY, STYLE, cut="cut off")
    assert (whole.segment, whole.correction) == ("3 + 4 = 7", RIGHT)


def test_an_example_shows_its_correction_where_it_has_one_for_the_step_that_it_blames():
    shot = FewShot("How many nuts?", REFERENCE, RESPONSE, "3 + 4 = 7", "it adds", f"Ann has 3 bags of 4 nuts.\n{RIGHT}")
    assert f'"hint": "", "correction": {json.dumps(RIGHT)}' in static_prompt([shot], STYLE)
    assert f'"step": 2, "correction": {json.dumps(RIGHT)}' in static_prompt([shot], style_of("steps", corrections=True))
    bare = FewShot("How many nuts?", REFERENCE, RESPONSE, "3 + 4 = 7", "it adds")
    elsewhere = FewShot("How many nuts?", REFERENCE, RESPONSE, "7 - 2 = 5", "it adds", shot.corrected_solution)
    for other in (bare, elsewhere):
        assert static_prompt([other], STYLE).count('"correction"') == 1  # what is asked for
    assert '"correction"' not in static_prompt([shot])


# Kept, and given again


@pytest.mark.parametrize("style", ["direct", "repair", "steps"])
def test_a_verdict_that_was_asked_for_without_never_answers_for_one_with(server, connect, tmp_path, style):
    fields = {"segment": "3 + 4 = 7", "step": 2, "corrected": f"Ann has 3 bags of 4 nuts.\n{RIGHT}"}
    server.script = lambda r: answer(r, json.dumps({"critique": "it adds", "correction": RIGHT} | fields))
    asked = [connect(style=style, cache=tmp_path / "c.db", corrections=on).locate([QUERY])[0] for on in (False, True, True)]
    assert [found.cached for found in asked] == [False, False, True]
    assert [found.correction for found in asked[1:]] == [RIGHT, RIGHT]
    assert len(server.requests) == 2


def test_it_is_in_the_log_and_in_its_replay_and_told_again_to_a_run_that_goes_on(server, connect, tmp_path, protocol):
    server.script = lambda r: answer(r, said(RIGHT))
    file = tmp_path / "judge.jsonl"
    oracle = connect(corrections=True, log=file)
    (first,) = oracle.locate([QUERY])
    oracle.close()
    (line,) = map(json.loads, file.read_text().splitlines())
    assert line["correction"] == first.correction == RIGHT
    with CALOracle(protocol, replay=file) as replayed:
        assert replayed.locate([QUERY])[0].correction == RIGHT
    resumed = connect(corrections=True)
    resumed.resume(file, settled=0)
    assert resumed.locate([QUERY])[0].correction == RIGHT
    assert len(server.requests) == 1


def test_a_replay_without_corrections_says_so_where_they_are_wanted(server, connect, tmp_path, protocol):
    server.script = lambda r: answer(r, said(RIGHT))
    notes = []
    for asked in (False, True):
        oracle = connect(corrections=asked, log=tmp_path / f"{asked}.jsonl")
        oracle.locate([QUERY])
        oracle.close()
    for log, wanted in (("False", False), ("False", True), ("True", True)):
        with CALOracle(protocol, replay=tmp_path / f"{log}.jsonl", corrections=wanted, tell=notes.append) as replayed:
            assert bool(replayed.locate([QUERY])[0].correction) == (log == "True")
    (note,) = notes
    assert "False.jsonl holds no correction, so there is none to learn" in note


def test_old_records_read_as_before():
    plain = Verdict(Tag.FOUND, "why", "3 + 4 = 7", cached=True)
    assert "correction" not in verdict_record(plain)
    assert read_verdict(verdict_record(plain)) == plain


def test_a_record_with_a_correction_that_is_none_is_no_verdict():
    record = verdict_record(Verdict(Tag.FOUND, "why", "3 + 4 = 7"))
    with pytest.raises(ValueError, match="correction must be text"):
        read_verdict(record | {"correction": 5})
    with pytest.raises(ValueError, match="correction only when"):
        read_verdict(record | {"tag": "no_error", "segment": "", "correction": "x"})


# Whoever gave it


class Says:
    name, metered = "says", True

    def __init__(self, segment, correction, confidence=None):
        self.verdict = Verdict(Tag.FOUND, "why", segment, correction=correction, confidence=confidence)

    async def locate(self, query):
        return self.verdict


def ask(oracle, query=QUERY):
    with CALOracle(oracle) as asked:
        return asked.locate([query])[0]


def test_a_correction_that_is_too_long_is_left_out_and_told_of():
    found = ask(Says("3 + 4 = 7", "x" * 20_001))
    assert (found.segment, found.correction) == ("3 + 4 = 7", "")
    assert found.detail == "its correction has 20,001 characters; at most 20,000 are kept"
    assert ask(Says("3 + 4 = 7", "x" * 20_000)).correction == "x" * 20_000
    record = verdict_record(Verdict(Tag.FOUND, segment="3 + 4 = 7", correction="x" * 20_001))
    assert read_verdict(record).correction == ""


def test_a_correction_that_is_no_text_is_one_line():
    with pytest.raises(UsageError, match="oracle 'says' answered with a Verdict whose correction is a int, 5; expected text"):
        ask(Says("3 + 4 = 7", 5))


def test_a_cascade_keeps_the_winner_s():
    unsure, sure = Says("A: 5", "A: 10", confidence=0.2), Says("3 + 4 = 7", RIGHT, confidence=0.9)
    assert ask(Cascade([(unsure, 0.5), (sure, 0.5)])).correction == RIGHT
    nobody = ask(Cascade([(unsure, 0.5)]))
    assert (nobody.tag, nobody.correction) == (Tag.ABSTAINED, "")
    ledger = Query("q", "81-15=66\n66+7=73\n#### 73", "81-15=66\n66+7=72\n#### 72")
    assert ask(Cascade([(ReferenceOracle(), 0.5)]), ledger).correction == "66+7=73\n#### 73"


def test_a_vote_keeps_that_of_a_critique_which_blames_the_same_step():
    exact, same_step, other = Says("3 + 4 = 7", "", 0.9), Says("That is 3 + 4 = 7", RIGHT), Says("A: 5", "A: 10")
    found = ask(Vote([exact, same_step, other]))
    assert (found.segment, corrected(RESPONSE, found)) == ("3 + 4 = 7", (CUT, RIGHT))
    assert ask(Vote([exact, exact, other])).correction == ""
    union = ask(Vote([other, Says("bags of 4 nuts.\nThat is", "She has 12.")], "union"))
    assert corrected(RESPONSE, union) == (0, "She has 12.")  # of equal places the first, and of its steps the first


def test_who_has_corrections_may_be_asked_for_them_and_who_has_none_not():
    ledger = Query("q", "81-15=66\n#### 66", "81-15=67\n#### 67")
    with CALOracle("reference", corrections=True) as oracle:
        assert oracle.locate([ledger])[0].correction == "81-15=66\n#### 66"
    for own in (Says("3 + 4 = 7", RIGHT), ReferenceOracle()):
        with CALOracle(own, corrections=True) as oracle:
            oracle.locate([ledger])
    with pytest.raises(UsageError, match="oracle 'arithmetic' makes no use of corrections"):
        CALOracle("arithmetic", corrections=True)


def test_what_decides_an_answer_changes_with_the_wish(server, connect, tmp_path):
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for file, on in zip(files, (False, True), strict=True):
        oracle = connect(corrections=on, log=file)
        oracle.locate([QUERY])
        oracle.close()
    without, asked = (json.loads(file.read_text()) for file in files)
    assert without["request"] == asked["request"] == request_digest(QUERY)
    assert (without["prompt"], asked["prompt"]) == ("direct-2", "direct-2+correction-1")
    assert without["instructions"] != asked["instructions"]
