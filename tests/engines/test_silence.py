"""A run whose judge is of no use says so: at once on stderr beside ``--json``, in its summary, on the report's first screen."""

import json

import pytest
from _judge_server import JudgeServer, Reply, answer, blame_first_line, verdict

from cal_grpo.cli import main
from cal_grpo.seeing import Run
from cal_grpo.seeing.report_answer import cautions


@pytest.fixture
def train(toy_folder, tmp_path, monkeypatch, capsys):
    """``train(server, ...) -> (status, stdout, lines on stderr)`` of ``cal-grpo train --json`` with a judge."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(server, **changes):
        settings = {
            "model_id": toy_folder, "cal_provider": "openai", "cal_model": "m", "cal_base_url": server.openai,
            "batch_size": 2, "num_generations": 8, "max_eval_samples": 0, "learning_rate": 1e-2, "ledger.steps": 2,
            "rollout.max_new_tokens": 16, "rollout.max_prompt_tokens": 96, "output_dir": tmp_path / "run",
        }  # fmt: skip
        words = [part for key, value in (settings | changes).items() for part in ("--set", f"{key}={value}")]
        monkeypatch.setattr("sys.argv", ["cal-grpo", "train", "--json", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        shown = capsys.readouterr()
        return stopped.value.code, shown.out, shown.err.splitlines()

    return call


def test_a_server_that_wants_a_day_of_rest_is_told_of_at_once_and_at_the_end(train, tmp_path):
    def script(request):
        if len(server.requests) == 1:
            return blame_first_line(request)
        return Reply(b'{"error": {"message": "quota of the day"}}', 429, {"Retry-After": "86400"})

    with JudgeServer(script) as server:
        status, out, err = train(server, num_train_steps=2, **{"oracle.concurrency": 4})
        assert len(server.requests) <= 5  # an answer, and what was in flight then
    assert status == 0
    rest, few = err
    assert rest.startswith("cal-grpo: the server of the oracle asks to be left alone for 86")
    assert "rate_limited" in rest
    assert "quota of the day" in rest
    assert few.startswith("cal-grpo: FEW SPANS: ")
    assert "circuit_open" in few
    summary = json.loads(out)
    assert [f"cal-grpo: {note}" for note in summary["notes"]] == err
    page = cautions([Run(tmp_path / "run")])
    assert "asks to be left alone" in page
    assert "FEW SPANS" in page


def test_few_spans_stop_a_run_that_was_told_to_raise_in_good_order(train, tmp_path):
    lost = verdict("a quote that nobody wrote 12345")
    with JudgeServer(lambda r: answer(r, lost)) as server:
        status, out, err = train(server, num_train_steps=30, on_failure="raise", **{"oracle.ask_again": 0})
    assert (status, out) == (1, "")
    assert err[0].startswith("cal-grpo: FEW SPANS: 0 of the ")
    assert "quote_not_found" in err[0]
    assert err[-1].endswith("with --set oracle.min_found=0 if so few are right")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["stopped"], summary["interrupted"]) == ("min_found", False)
    assert 0 < summary["steps"] < 30
    assert (tmp_path / "run" / "policy" / "model.safetensors").exists()
    assert list((tmp_path / "run" / "checkpoints" / "actor").iterdir())
