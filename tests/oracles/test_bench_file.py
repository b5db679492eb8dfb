"""A bench whose verdicts are kept goes on where it was."""

import json

import pytest
from tokenizers import Tokenizer

from cal_grpo.alignment import Aligner
from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Tag, Usage, Verdict
from cal_grpo.oracles.bench import BenchFile, bench_figures, read_labelled, run_bench
from cal_grpo.policies import EMBEDDED

TOKENIZER = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
JUDGE = {"oracle": "says", "model": "m"}
RIGHT, LATE, DOWN = "1 + 1 = 3", "so 3", "down"


class Says:
    """Quotes each response's first line or last, or fails, at a price."""

    name = "says"
    metered = True

    def __init__(self, quotes, fails=()):
        self.quotes, self.fails, self.asked = quotes, set(fails), []

    async def locate(self, query):
        self.asked.append(query.question)
        usage = Usage(1, 100, 10, 0.002, 0.01)
        if query.question in self.fails:
            return Verdict(Tag.REFUSED, usage=usage, detail="no")
        return Verdict(Tag.FOUND, "é", self.quotes[query.question], confidence=0.5, usage=usage, correction="1 + 1 = 2\nso 2")


@pytest.fixture
def rows(tmp_path):
    about = {"reference_solution": "1+1=2\n#### 2", "response": "1 + 1 = 3\nso 3", "step_spans": [[0, 9], [10, 14]]}
    labels = [("a", 0), ("b", 0), ("b", 1), ("c", 1)]
    file = tmp_path / "rows.jsonl"
    lines = [about | {"question": q, "solution_key": q, "first_error_step": label} for q, label in labels]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return read_labelled(file)


@pytest.fixture
def bench(tmp_path, rows):
    def run(oracle, some=None, judge=JUDGE, path=tmp_path / "out" / "bench.jsonl", **settings):
        some = rows if some is None else some
        file = BenchFile(path, judge, some)
        with CALOracle(oracle) as asked:
            return run_bench(some, asked, Aligner(TOKENIZER), lambda text: TOKENIZER.encode(text).ids, file=file, **settings)

    return run


@pytest.fixture
def kept(tmp_path):
    file = tmp_path / "out" / "bench.jsonl"
    return lambda: [json.loads(line) for line in file.read_text().splitlines()]


QUOTES = {"a": RIGHT, "b": RIGHT, "c": RIGHT}


def test_every_row_has_a_line_with_its_verdict_and_its_place(bench, kept):
    bench(Says(QUOTES | {"a": "gone 7"}, fails="c"))
    lines = sorted(kept(), key=lambda line: line["row"])
    shown = [[line[name] for name in ("row", "tag", "no_span", "step", "off_by", "span")] for line in lines]
    assert shown == [
        [1, "found", "quote_not_found", None, None, None],
        [2, "found", None, 0, 0, [0, 9]],
        [3, "found", None, 0, -1, [0, 9]],
        [4, "refused", "refused", None, None, None],
    ]
    assert lines[1] | {"segment": RIGHT, "usd": 0.002, "critique": "é", "judge": JUDGE, "corrected_right": True} == lines[1]
    assert lines[1]["request"] == lines[2]["request"] != lines[0]["request"]


def test_what_is_there_is_not_asked_again_and_the_figures_are_those_of_one_run(bench, rows, kept):
    whole = bench_figures(bench(Says(QUOTES)))
    first = kept()
    again = Says(QUOTES)
    done = []
    resumed = bench_figures(bench(again, on_done=done.append))
    assert (again.asked, done) == ([], [])
    assert resumed == whole | {name: pytest.approx(whole[name], abs=1e-5) for name in ("latency_p50_s", "latency_p95_s")}
    assert (resumed["calls"], resumed["usd"]) == (3, 0.006)
    assert sorted(map(str, kept())) == sorted(map(str, first))


def test_failed_calls_are_asked_again_and_leave_one_line(bench, kept):
    bench(Says(QUOTES, fails="bc"))
    again = Says(QUOTES)
    assert bench_figures(bench(again))["abstained"]["value"] == 0
    assert sorted(again.asked) == ["b", "c"]
    assert sorted(line["row"] for line in kept()) == [1, 2, 3, 4]


def test_a_line_that_breaks_off_is_asked_again_and_other_rows_stay(bench, rows, kept, tmp_path):
    rows = [row for row in rows if row.number != 3]  # which asks what another row asks
    bench(Says(QUOTES), rows)
    file = tmp_path / "out" / "bench.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    last = json.loads(lines[-1])["row"]
    file.write_text("".join(lines)[:-20])
    other = 1 if last != 1 else 2  # answers come in any order
    again = Says(QUOTES)
    bench(again, [row for row in rows if row.number != other])
    assert again.asked == [row.query.question for row in rows if row.number == last]
    assert sorted(line["row"] for line in kept()) == [1, 2, 4]


def test_places_are_those_of_the_tokenizer_and_limits_of_now(bench, kept):
    bench(Says(QUOTES))
    bench(Says(QUOTES), min_confidence=0.9)
    assert {line["no_span"] for line in kept()} == {"unsure"}


def test_another_judges_file_is_refused_and_stays(bench, kept):
    bench(Says(QUOTES))
    before = kept()
    with pytest.raises(UsageError, match=r"line 1: a verdict of .*model m'; this judge is .*model n'") as caught:
        bench(Says(QUOTES), judge=JUDGE | {"model": "n"})
    assert "\n" not in str(caught.value)
    assert kept() == before


@pytest.mark.parametrize("text", ['{"question": "mine"}\n', "notes\n", "[1]\n", "\xff\n", '{"judge": 1}\n'])
def test_a_file_that_is_something_else_is_refused_and_stays(bench, tmp_path, text):
    file = tmp_path / "mine"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="line 1: not a bench's line") as caught:
        bench(Says(QUOTES), path=file)
    assert "\n" not in str(caught.value)
    assert file.read_bytes() == text.encode("latin-1")


def test_a_place_that_cannot_be_written_is_told_before_anybody_is_asked(bench, tmp_path):
    oracle = Says(QUOTES)
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "bench.jsonl", tmp_path):
        with pytest.raises(UsageError):
            bench(oracle, path=path)
    assert oracle.asked == []
