"""Nothing that a server, a model or a file says is obeyed by a terminal."""

import io
import json
import logging
import shutil

import pytest
from _judge_server import JudgeServer, answer, error, verdict
from rich.console import Console
from typer.testing import CliRunner

from cal_grpo.cli import run_app
from cal_grpo.cli.app import app
from cal_grpo.cli.screen import Panel
from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query

HOSTILE = "a\x1b[2Jb\x1b]0;title\x07c\x9b31md\u202ee\u2066f\rg\x08h"
OBEYED = "\x1b\x07\x9b\u202e\u2066\r\x08"


def harmless(text):
    return not set(text) & set(OBEYED)


def test_inspect_as_json_is_ascii_and_the_same(tmp_path):
    record = {"step": 1, "question": HOSTILE, "response": HOSTILE, "tokens": 3, "correct": False,
              "verdict": {"tag": HOSTILE, "critique": HOSTILE, "segment": HOSTILE}}  # fmt: skip
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    (tmp_path / "samples.jsonl").write_text(json.dumps(record) + "\n")
    shown = CliRunner().invoke(app, ["inspect", str(tmp_path), "--json"])
    assert shown.exit_code == 0
    assert shown.stdout.isascii()
    assert json.loads(shown.stdout)["response"] == HOSTILE
    plain = CliRunner().invoke(app, ["inspect", str(tmp_path), "--plain"])
    assert harmless(plain.stdout.replace("\x1b[0m", ""))


def test_an_error_is_one_harmless_line(capsys):
    def refuse(**_):
        raise UsageError(f"file {HOSTILE}\n is no good")

    with pytest.raises(SystemExit):
        run_app(refuse, "cal-grpo")
    line = capsys.readouterr().err
    assert harmless(line)
    assert line.count("\n") == 1


@pytest.mark.parametrize("terminal", [False, True])
def test_notes_are_harmless(terminal):
    file = io.StringIO()
    panel = Panel(TrainConfig(), Console(file=file, force_terminal=terminal, color_system=None))
    panel.note(HOSTILE)
    panel.stage(HOSTILE)
    panel.standing(HOSTILE)
    panel.console.print(panel)
    assert harmless(file.getvalue())


def test_the_logger_and_every_detail_are_harmless(caplog):
    with JudgeServer(lambda r: error(r, 403, HOSTILE)) as server, caplog.at_level(logging.WARNING):
        with CALOracle("openai", model="m", base_url=server.openai, breaker_failures=1) as oracle:
            assert harmless(oracle.locate([Query("q", "r", "x")])[0].detail)
        assert caplog.messages
        assert all(map(harmless, caplog.messages))


def test_check_and_ask_are_harmless(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    words = ["--oracle", "openai", "--judge-model", f"m{HOSTILE}", "--base-url"]
    for script in (lambda r: answer(r, verdict(HOSTILE, HOSTILE)), lambda r: error(r, 403, HOSTILE)):
        with JudgeServer(script) as server:
            for command in (["check"], ["ask", "--question", "q", "--reference", "r", "--response", HOSTILE]):
                shown = CliRunner().invoke(app, ["oracle", *command, *words, server.openai])
                assert harmless(shown.output), command


def test_report_and_compare_notes_are_harmless(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("seed: 0\n")
    (tmp_path / "run" / "samples.jsonl").write_text(f'{{"step": "{HOSTILE}"}}\n{{\n')
    (tmp_path / "run" / "metrics.jsonl").write_text(json.dumps({"step": 1, "accuracy": 0.5}) + "\n")
    shutil.copytree(tmp_path / "run", tmp_path / "two")
    one, two = str(tmp_path / "run"), str(tmp_path / "two")
    for command in (["report", one, "--output", f"{one}.html"], ["compare", one, two, "--output", f"{one}.svg"]):
        shown = CliRunner().invoke(app, command)
        assert harmless(shown.output), command
