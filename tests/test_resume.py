"""What is kept of a run that was stopped, and what is cut off."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.runs import train
from cal_grpo.runs.folder import RunFolder
from cal_grpo.runs.resume import Past, check_data, cut_to, is_finished, kept_part, read_summary, resumed_config
from cal_grpo.tasks import load_task


def config(tmp_path, **changes):
    return TrainConfig.model_validate({"output_dir": tmp_path / "run"} | changes)


def write(file, rows, torn=""):
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + torn)


def read_rows(file):
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]] if file.exists() else []


def up_to(step):
    return lambda row: row["step"] <= step


@given(
    steps=st.lists(st.integers(0, 3), max_size=30).map(lambda gaps: [1 + sum(gaps[:i]) for i in range(len(gaps))]),
    cut=st.integers(0, 40),
    torn=st.integers(0, 12),
)
def test_all_whole_lines_of_the_updates_kept_and_none_else_are_left(tmp_path_factory, steps, cut, torn):
    file = tmp_path_factory.mktemp("cut") / "metrics.jsonl"
    write(file, [{"step": step, "text": "è\u2028"} for step in steps], torn=json.dumps({"step": 1})[:torn])
    for _ in "twice":
        rows = []
        cut_to(file, kept_part(file, up_to(cut), rows))
        assert rows == read_rows(file)
        assert [row["step"] for row in rows] == [step for step in steps if step <= cut]


def test_a_missing_file_has_nothing_to_cut(tmp_path):
    assert kept_part(tmp_path / "none.jsonl", up_to(1)) == 0
    cut_to(tmp_path / "none.jsonl", 0)
    assert not (tmp_path / "none.jsonl").exists()


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be cut off \(Is a directory\)"):
        cut_to(tmp_path, 0)
    with pytest.raises(UsageError, match=r"cannot be read \(Is a directory\)"):
        kept_part(tmp_path, up_to(1))


@pytest.mark.parametrize("line", ["half a li", "[1]", "3", '{"loss": 1}', '{"step": "two"}', "\xff", "[" * 100_000])
def test_a_line_that_no_run_writes_is_named_and_nothing_is_cut(tmp_path, line):
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b'{"step": 1}\n' + line.encode("latin-1") + b'\n{"step": 2}\n')
    before = file.read_bytes()
    with pytest.raises(UsageError, match=r"metrics\.jsonl, line 2: not a line of a run") as error:
        kept_part(file, up_to(1))
    assert "\n" not in str(error.value)
    assert file.read_bytes() == before


def test_the_past_counts_what_the_rows_say():
    rows = [{"step": 1, "cal/asked": 3.0, "cal/missed/timeout": 1.0}, {"step": 2, "cal/asked": 2.0, "seconds": None}]
    past = Past(2, rows)
    assert (past.total("cal/asked"), past.total("seconds"), past.missed) == (5, 0, Counter(timeout=1))


def test_a_run_is_cut_back_to_its_checkpoint(tmp_path):
    run = tmp_path / "run"
    write(run / "metrics.jsonl", [{"step": i, "loss": i / 2, "seconds": 1.0} for i in (1, 2, 3, 4)], torn='{"step": 5, "lo')
    write(run / "samples.jsonl", [{"step": i} for i in (1, 1, 2, 2, 3, 3, 4)])
    write(run / "judge.jsonl", [{"request": "a"}, {"request": "b"}], torn='{"requ')
    write(run / "eval.jsonl", [{"when": "before", "correct": True}, {"when": "after", "correct": True}], torn="{")
    write(run / "summary.json", [{"steps": 4}])
    for _ in "twice":  # killed after the first time
        with RunFolder(config(tmp_path), resume=True) as folder:
            past = folder.read_past(2)
            folder.cut_back(past)
        assert past.updates == 2
        assert [row["step"] for row in past.rows] == [row["step"] for row in read_rows(run / "metrics.jsonl")] == [1, 2]
        assert [row["step"] for row in read_rows(run / "samples.jsonl")] == [1, 1, 2, 2]
        assert [row["request"] for row in read_rows(run / "judge.jsonl")] == ["a", "b"]
        assert past.before == [{"when": "before", "correct": True}] == read_rows(run / "eval.jsonl")
        assert not (run / "summary.json").exists()
    with RunFolder(config(tmp_path), resume=True) as folder:
        folder.cut_back(folder.read_past(2))
        folder.write_metrics({"step": 3, "loss": 9.0, "seconds": 1.0})
    assert [row["step"] for row in read_rows(run / "metrics.jsonl")] == [1, 2, 3]


def test_without_a_checkpoint_only_the_verdicts_are_left(tmp_path):
    run = tmp_path / "run"
    for name in ("metrics", "samples"):
        write(run / f"{name}.jsonl", [{"step": 1}])
    write(run / "judge.jsonl", [{"request": "a"}])
    write(run / "eval.jsonl", [{"when": "before", "correct": True}])
    with RunFolder(config(tmp_path), resume=True) as folder:
        past = folder.read_past(0)
        folder.cut_back(past)
    assert (past.updates, past.rows, past.before) == (0, [], [])
    assert [name for name in ("metrics", "samples", "judge", "eval") if read_rows(run / f"{name}.jsonl")] == ["judge"]


@pytest.mark.parametrize("name", ["metrics", "samples", "judge", "eval"])
def test_whatever_cannot_be_read_nothing_is_cut(tmp_path, name):
    run = tmp_path / "run"
    write(run / "metrics.jsonl", [{"step": i} for i in (1, 2, 3)])
    write(run / "samples.jsonl", [{"step": i} for i in (1, 2, 3)])
    write(run / "judge.jsonl", [{"request": "a"}], torn='{"requ')
    write(run / "eval.jsonl", [{"when": "before"}, {"when": "after"}])
    write(run / "summary.json", [{"steps": 3}])
    (run / f"{name}.jsonl").write_bytes(b"not a line\n" + (run / f"{name}.jsonl").read_bytes())
    with RunFolder(config(tmp_path), resume=True) as folder:
        before = contents(run)
        with pytest.raises(UsageError, match=rf"{name}\.jsonl, line 1: not a line of a run"):
            folder.read_past(2)
    assert contents(run) == before


def test_a_run_goes_on_with_its_own_config(tmp_path):
    with RunFolder(config(tmp_path, seed=3, num_train_steps=7)):
        pass
    (tmp_path / "run").rename(tmp_path / "moved")
    resumed = resumed_config(tmp_path / "moved", {"num_train_steps": 9, "oracle.max_calls": 5})
    assert resumed == config(tmp_path, seed=3, num_train_steps=9, oracle={"max_calls": 5}, output_dir=tmp_path / "moved")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 4}, "got 'seed', but a run goes on with its own config"),
        ({"learning_rate": 1.0}, "only num_train_steps, oracle.max_calls"),
        ({"num_train_steps": 6}, "num_train_steps is 6, but .* has 7"),
        ({"num_train_steps": "many"}, "num_train_steps = 'many'"),
    ],
)
def test_a_change_that_would_make_another_run_is_refused(tmp_path, changes, message):
    with RunFolder(config(tmp_path, num_train_steps=7)):
        pass
    with pytest.raises(UsageError, match=message):
        resumed_config(tmp_path / "run", changes)


def test_a_folder_without_a_run_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match=r"holds no run: there is no config\.yaml"):
            resumed_config(folder, {})


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_other_data_is_refused_before_anything_is_touched(tmp_path):
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps({"question": f"{i}?", "answer": i}) + "\n" for i in range(40)))
    given = config(tmp_path, task="jsonl", data=data)
    with RunFolder(given, digest=load_task(given).digest) as folder:
        folder.write_metrics({"step": 1})
    before = contents(folder.path)
    check_data(folder.path, load_task(given).digest)
    data.write_text(data.read_text().replace('"answer": 7}', '"answer": 8}'))
    with pytest.raises(UsageError, match="the questions are not those that the run began with; expected the same data"):
        train(resumed_config(folder.path, {}), resume=True)
    assert contents(folder.path) == before


def test_a_run_from_before_there_was_a_digest_is_not_refused(tmp_path):
    check_data(tmp_path, "abc")
    (tmp_path / "data.sha256").write_text("\n")
    check_data(tmp_path, "abc")


def test_a_run_that_its_budget_stopped_wants_a_larger_one(tmp_path):
    with RunFolder(config(tmp_path)) as folder:
        folder.write_summary({"steps": 4, "stopped": "budget"})
    with pytest.raises(UsageError, match=r"stopped by its budget after 4 of 30 updates; .* --set oracle\.max_calls=N"):
        resumed_config(tmp_path / "run", {})
    assert resumed_config(tmp_path / "run", {"oracle.max_usd": 2}).oracle.max_usd == 2


@pytest.mark.parametrize(
    ("summary", "finished"),
    [
        ({"steps": 30, "stopped": None}, True),
        ({"steps": 29, "stopped": "interrupt"}, False),
        ({"steps": 30, "stopped": "interrupt"}, False),  # in the last evaluation
        ({"steps": 20, "stopped": None}, False),  # it shall go further now
        (None, False),
    ],
)
def test_a_run_is_finished_when_its_summary_says_so(tmp_path, summary, finished):
    with RunFolder(config(tmp_path)) as folder:
        if summary is not None:
            folder.write_summary(summary)
    assert is_finished(config(tmp_path)) == finished


def test_a_summary_that_was_cut_off_is_none(tmp_path):
    (tmp_path / "summary.json").write_text('{"steps": 3')
    assert read_summary(tmp_path) == {}
