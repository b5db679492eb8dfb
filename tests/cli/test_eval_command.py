"""``cal-grpo eval`` in this process: what it says when the input is bad, its help, and its last lines."""

import io

import pytest
from rich.console import Console

from cal_grpo.cli import main
from cal_grpo.cli.commands.eval_command import print_evaluation


@pytest.fixture
def cal_grpo_eval(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["cal-grpo", "eval", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        shown = capsys.readouterr()
        return stopped.value.code, shown.out, shown.err

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", "0"], "samples is 0; expected 1 or more"),
        (["--samples", "-3"], "samples is -3; expected 1 or more"),
        (["--task", "mth"], "did you mean 'math'"),
        (["--model", "./none"], "model_id is './none': no such folder"),
        (["--questions", "0"], "leaves no question to evaluate on"),
        (["--engine", "tunx"], "engine is 'tunx'; expected one of tunix, trl; did you mean 'tunix'?"),
        (["--questions", "-1"], "max_eval_samples = -1"),
        (["--temperature", "0"], "rollout.temperature = 0.0"),
        (["--task", "gsm8k", "--all"], "--all got no data file"),
        (
            ["--task", "math", "--data", "none.jsonl"],
            "data none.jsonl: not found; expected a JSONL file with problem and solution, a JSON array or Parquet",
        ),
        (["--set", "eval.batchsize=3"], "did you mean 'eval.batch_size'"),
        (["--config", "none.yaml"], "none.yaml: no such file"),
    ],
)
def test_bad_input_is_one_line_and_status_2_and_writes_nothing(cal_grpo_eval, tmp_path, arguments, message):
    status, out, err = cal_grpo_eval(*arguments, "--json")
    assert status == 2
    assert out == ""
    assert err.startswith("cal-grpo: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_model_is_named(cal_grpo_eval, tmp_path):
    (tmp_path / "policy").mkdir()
    status, _, err = cal_grpo_eval("--model", "policy", "--json")
    assert status == 2
    assert err.startswith("cal-grpo: policy/config.json: not found")
    assert not (tmp_path / "evals").exists()


def test_help_teaches(cal_grpo_eval):
    status, out, _ = cal_grpo_eval("--help")
    assert status == 0
    for expected in ("--samples", "--all", "--json", "pass@k", "majority@k", "95 % interval", "Examples", "RUN/policy"):
        assert expected in out


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_last_lines_have_every_figure_with_its_interval(interrupted):
    estimate = {"value": 0.5, "low": 0.25, "high": 0.75}
    record = {
        "greedy": estimate, "pass": {"1": estimate, "8": estimate}, "majority": estimate, "questions": 12, "samples": 8,
        "temperature": 0.8, "seed": 3, "interrupted": interrupted, "wall_s": 12.3, "compile_s": 4.5, "output": "evals/[x]",
    }  # fmt: skip
    console = Console(file=io.StringIO(), width=80)
    print_evaluation(record, console)
    shown = console.file.getvalue()
    for name in ("greedy", "pass@1", "pass@8", "majority@8"):
        assert name in shown
    assert shown.count("50.0%  95 % interval 25.0% to 75.0%") == 4
    assert "8 sampled at temperature 0.8, seed 3" in shown
    assert ("interrupted" in shown) == interrupted
    assert "evals/[x]" in shown


def test_an_evaluation_stopped_before_its_first_question_has_no_figures():
    record = {
        "greedy": None, "pass": {}, "majority": None, "questions": 0, "samples": 0, "temperature": 1.0, "seed": 0,
        "interrupted": True, "wall_s": 1.0, "compile_s": 0.0, "output": "evals/x",
    }  # fmt: skip
    console = Console(file=io.StringIO(), width=80)
    print_evaluation(record, console)
    assert "0 questions, interrupted" in console.file.getvalue()
