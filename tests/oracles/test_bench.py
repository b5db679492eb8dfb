"""The bench's figures against values worked out by hand."""

import asyncio
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers

from cal_grpo.alignment import Aligner
from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Tag, Usage, Verdict
from cal_grpo.oracles.bench.bench_figures import bench_figures, percentile, rate, step_of
from cal_grpo.oracles.bench.labelled import half_of, read_labelled
from cal_grpo.oracles.bench.run_bench import run_bench
from cal_grpo.policies import EMBEDDED

TOKENIZER = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))


def row(response, first_error, key, **other):
    spans, start = [], 0
    for line in response.split("\n"):
        spans.append([start, start + len(line)])
        start += len(line) + 1
    labels = {"step_spans": spans, "first_error_step": first_error, "solution_key": key}
    return {"question": "q?", "reference_solution": "1+1=2", "response": response} | labels | other


ROWS = [
    row("1 + 1 = 3\n3 + 1 = 4\nA: 4", 0, "a"),  # found where the label is
    row("2 + 2 = 4\n4 * 2 = 9\nA: 9", 1, "b"),  # found where the label is
    row("2 + 2 = 4\n4 * 2 = 9\nA: 9", 2, "b"),  # the same solution, another person: one too early
    row("5 + 5 = 10\nA: 10", 0, "c"),  # no equation is false
]


@pytest.fixture
def written(tmp_path):
    def write(*rows):
        file = tmp_path / "rows.jsonl"
        file.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
        return file

    return write


def benched(rows, oracle, **settings):
    with CALOracle(oracle) as asked:
        return run_bench(rows, asked, Aligner(TOKENIZER), lambda text: TOKENIZER.encode(text).ids, **settings)


def test_every_figure_of_four_rows(written):
    figures = bench_figures(benched(read_labelled(written(*ROWS)), "arithmetic"))
    value = {name: rate["value"] for name, rate in figures.items() if isinstance(rate, dict) and "value" in rate}
    assert value == {
        "exact": 0.5,
        "not_later": 0.75,  # the two, and the one that is too early
        "within_one": 0.75,
        "early": 0.25,
        "late": 0.0,
        "abstained": 0.25,
        "precision_when_answering": 0.6667,  # 2 of 3
        "not_later_when_answering": 1.0,
        "token_precision": 0.6667,  # all, all and none of the blamed tokens
        "token_recall": 0.6667,
    }
    assert (figures["n"], figures["solutions"], figures["abstained_why"]) == (4, 3, {"abstained": 1})
    agreement = figures["label_agreement"]
    assert (agreement["pairs"], agreement["exact"]["value"], agreement["within_one"]["value"]) == (1, 0.0, 1.0)
    floors = figures["floors"]
    assert floors["random"]["exact"]["value"] == 0.375  # (1/3 + 1/3 + 1/3 + 1/2) / 4
    assert floors["random"]["within_one"]["value"] == 0.8333  # (2/3 + 1 + 2/3 + 1) / 4
    assert floors["random"]["not_later"]["value"] == 0.625  # (1/3 + 2/3 + 1 + 1/2) / 4
    assert floors["constant"]["step"] == 0  # two of the four labels
    assert floors["constant"]["not_later"]["value"] == 1.0
    assert (floors["constant"]["exact"]["value"], floors["constant"]["within_one"]["value"]) == (0.5, 0.75)
    assert (figures["calls"], figures["tokens"], figures["usd"]) == (0, 0, 0)


def test_intervals_count_solutions_not_labels(written):
    figures = bench_figures(benched(read_labelled(written(*ROWS)), "arithmetic"))
    expected = rate(2, 4, 3)
    assert figures["exact"] == expected
    assert expected["low"] < rate(2, 4)["low"]


def test_verdicts_below_the_confidence_are_abstentions(written):
    figures = bench_figures(benched(read_labelled(written(*ROWS)), "arithmetic", min_confidence=0.99))
    assert figures["abstained_why"] == {"unsure": 3, "abstained": 1}
    assert figures["precision_when_answering"]["value"] is None


class Scripted:
    """Quotes what it is told for each response, at a price."""

    name = "scripted"
    metered = True

    def __init__(self, quotes, confidence=None):
        self.quotes, self.confidence, self.asked = quotes, confidence or {}, 0

    async def locate(self, query):
        self.asked += 1
        await asyncio.sleep(0)
        said, usage = self.quotes[query.response], Usage(1, 100, 10, 0.002, 0.01)
        if isinstance(said, Tag):
            return Verdict(said, usage=usage)
        return Verdict(Tag.FOUND, segment=said, confidence=self.confidence.get(query.response), usage=usage)


def test_a_quote_that_is_not_there_is_no_answer_and_labels_of_one_solution_cost_one_call(written):
    oracle = Scripted({ROWS[0]["response"]: "3 + 1 = 4", ROWS[1]["response"]: "gone", ROWS[3]["response"]: Tag.NO_ERROR})
    figures = bench_figures(benched(read_labelled(written(*ROWS)), oracle))
    assert figures["abstained_why"] == {"quote_not_found": 2, "no_error": 1}
    assert figures["late"]["value"] == 0.25  # the first row
    assert (oracle.asked, figures["calls"], figures["tokens"], figures["usd"]) == (3, 3, 330, 0.006)


def test_the_surest_half_is_of_all_rows(written):
    rows = [row(f"{i} + 1 = 9\n1 + 1 = {i + 7}", i % 2, str(i)) for i in range(4)]
    quotes = {r["response"]: r["response"].split("\n")[0] for r in rows}  # always the first step: right for 0 and 2
    sure = {r["response"]: confidence for r, confidence in zip(rows, (0.9, 0.3, 0.5, 0.7), strict=True)}
    half = bench_figures(benched(read_labelled(written(*rows)), Scripted(quotes, sure)))["surest_half"]
    assert (half["precision"]["value"], half["confidence_from"]) == (0.5, 0.7)  # rows 0 and 3


def test_corrections_are_graded_where_the_row_has_an_answer(written):
    rows = [
        row("2 + 2 = 5\n5 * 2 = 10\nA: 10", 0, "a", answer="8"),
        row("2 + 2 = 5\n5 * 2 = 11\nA: 11", 0, "b", reference_solution="2+2=4\n4*2=8\n#### 8"),  # the answer is marked there
        row("2 + 2 = 5\n5 * 2 = 12\nA: 12", 0, "c"),  # whose answer nobody knows
        row("2 + 2 = 5\n5 * 2 = 13\nA: 13", 0, "d", answer=8),  # not corrected
        row("2 + 2 = 5\n5 * 2 = 14\nA: 14", 0, "e", reference_answer="8"),
    ]
    right, wrong = "2 + 2 = 4\n4 * 2 = 8\nA: 8", "2 + 2 = 4\n4 * 2 = 9\nA: 9"
    corrections = dict(zip((r["response"] for r in rows), (right, wrong, right, "", wrong), strict=True))

    class Corrects:
        name = "corrects"

        async def locate(self, query):
            return Verdict(Tag.FOUND, segment="2 + 2 = 5", correction=corrections[query.response])

    results = benched(read_labelled(written(*rows)), Corrects())
    assert [result.corrected_right for result in results] == [True, False, None, None, False]
    told = bench_figures(results)["corrections"]
    assert (told["of"], told["given"], told["graded"], told["right"]["value"]) == (5, 4, 3, 0.3333)
    assert bench_figures(benched(read_labelled(written(*ROWS)), "arithmetic"))["corrections"] is None


def test_rows_that_the_tokenizer_changes_are_left_out_and_counted(written):
    lowering = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    lowering.normalizer = normalizers.Lowercase()
    rows, left_out = read_labelled(written(ROWS[0], row("1 + 1 = 3\nso 3", 0, "z"))), Counter()
    with CALOracle("arithmetic") as oracle:
        results = run_bench(rows, oracle, Aligner(lowering), lambda text: lowering.encode(text).ids, left_out=left_out)
        assert [result.row.solution for result in results] == ["z"]
        assert left_out == {"the tokenizer turns the response into other text": 1}
        with pytest.raises(UsageError, match="byte-level"):
            run_bench(rows[:1], oracle, Aligner(lowering), lambda text: lowering.encode(text).ids)


def test_wilson_against_published_values():
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81/263, 15/148, 0/20
    for count, total, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        assert (rate(count, total)["low"], rate(count, total)["high"]) == (low, high)
    assert rate(0, 0) == {"value": None, "low": None, "high": None}


@given(st.integers(0, 50), st.integers(1, 50))
def test_intervals_hold_their_value(k, n):
    found = rate(min(k, n), n)
    assert 0 <= found["low"] <= found["value"] + 1e-4
    assert found["value"] - 1e-4 <= found["high"] <= 1


def test_percentiles():
    assert percentile([3, 1, 2, 4], 0.5) == 2
    assert percentile([3, 1, 2, 4], 0.95) == 4
    assert percentile([], 0.5) == 0


@pytest.mark.parametrize(
    ("span", "step"),
    [((0, 3), 0), ((3, 13), 1), ((3, 12), 0), ((3, 6), 0), ((10, 12), 1), ((25, 30), 2), ((5, 6), 0), ((8, 10), 1)],
)
def test_a_span_is_in_the_step_it_shares_most_with_else_the_nearest(span, step):
    assert step_of(span, [(0, 5), (10, 15), (15, 20)]) == step


def test_halves_are_of_solutions(written):
    file = written(*ROWS)
    halves = {half: {r.solution for r in read_labelled(file, half=half)} for half in ("even", "odd")}
    assert halves["even"] | halves["odd"] == {"a", "b", "c"}
    assert not halves["even"] & halves["odd"]
    assert half_of("b") == ("even" if "b" in halves["even"] else "odd")
    assert len(read_labelled(file, limit=2)) == 2


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: a list; expected an object"),
        (row("1+1=3", 0, "a", question=" "), "line 2: question is ' '; expected text"),
        (row("1+1=3", 1, "a"), "first_error_step is 1; expected the index of a step, 0 to 0"),
        (row("1+1=3", True, "a"), "first_error_step is True"),
        (row("1+1=3", 0, "a", step_spans=[]), "step_spans is []; expected pairs"),
        (row("1+1=3", 0, "a", step_spans=[[0, 9]]), "step_spans holds [0, 9]; expected pairs [start, end)"),
        (row("1+1=3", 0, "a", step_spans=[[0, 3], [2, 5]]), "step_spans holds [2, 5]"),
        (row("1+1=3", 0, "a", step_spans=[["0", 3]]), "step_spans holds ['0', 3]"),
        ("[" * 100_000, "line 2: not JSON"),
    ],
)
def test_a_row_that_does_not_fit_is_one_line_with_its_number(written, bad, said):
    with pytest.raises(UsageError) as caught:
        read_labelled(written(ROWS[0], bad))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_empty_or_no_text(tmp_path, written):
    with pytest.raises(UsageError, match="not found"):
        read_labelled(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="no rows"):
        read_labelled(written(""))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        read_labelled(tmp_path / "bytes")
