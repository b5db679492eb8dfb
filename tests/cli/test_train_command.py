"""The command line in this process: what it says when the input is bad, and its help."""

import json
import sys
from pathlib import Path

import pytest
from _judge_server import JudgeServer, error

from cal_grpo.cli import main
from cal_grpo.cli.commands.judge_options import Judge
from cal_grpo.config import load_config


@pytest.fixture
def cal_grpo(monkeypatch, capsys, tmp_path):
    """``cal_grpo("train", ...) -> (status, stdout, stderr)``, in an empty working directory without keys."""
    monkeypatch.chdir(tmp_path)
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["cal-grpo", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        shown = capsys.readouterr()
        return stopped.value.code, shown.out, shown.err

    return call


def refused(result):
    """The one line that a bad input ends in."""
    status, out, err = result
    assert status == 2
    assert "Traceback" not in out + err
    return err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--oracle", "gemin"], "oracle is 'gemin'; expected one of"),
        (["--oracle", "gemini"], "got no API key; set GEMINI_API_KEY"),
        (["--oracle", "openai"], "got no model; name one: --judge-model NAME, --oracle openai:NAME or the key cal_model"),
        (["--oracle", "local"], "got no model; name a Hugging Face folder: --judge-model FOLDER or the key cal_model"),
        (["--oracle", "openai", "--judge-model", "m"], "got no API key; set OPENAI_API_KEY"),
        (["--oracle", "openai:m"], "got no API key; set OPENAI_API_KEY"),
        (["--oracle", "openai", "--set", "cal_model=m"], "got no API key; set OPENAI_API_KEY"),
        (
            ["--oracle", "openai", "--judge-model", "m", "--base-url", "localhost:80/v1"],
            "base URL 'localhost:80/v1' has no http:// or https:// before it; expected one, such as http://localhost:80/v1",
        ),
        (["--judge-model", "m"], "oracle 'reference' makes no use of model; leave it out, or choose openai or gemini or local"),
        (["--style", "stps"], "Invalid value for '--style'"),
        (["--set", "credit=blanced"], "did you mean 'balanced'"),
        (["--task", "ledgr"], "did you mean 'ledger'"),
        (["--task", "jsonl"], "expected --data FILE.jsonl"),
        (["--data", "train.jsonl"], "task 'ledger' makes its own questions; got --data train.jsonl too"),
        (["--seed", "x"], "Invalid value for '--seed': "),
        (["--sed", "1"], "No such option: --sed"),
        (["--seed"], "Option '--seed' requires an argument; see cal-grpo train --help"),
        (["--overwrite=true"], "Option '--overwrite' does not take a value; see cal-grpo train --help"),
        (["--task", "jsonl", "--data", "none.jsonl"], "data none.jsonl: not found"),
        (["--set", "learnin_rate=1"], "did you mean 'learning_rate'"),
        (["--set", "learning_rate"], "expected key=value"),
        (["--config", "none.yaml"], "none.yaml: no such file"),
        (["--output", "$NOWHERE/x"], "path $NOWHERE/x: $NOWHERE is not set; set it, or write the path out"),
        (["--output", "/proc/x"], "/proc/x: cannot be created (/proc cannot be written to: "),
        (["--engine", "tunx"], "engine is 'tunx'; expected one of tunix, trl; did you mean 'tunix'?"),
        (["--set", "tracker=tensorbord"], "did you mean 'tensorboard'?"),
        (["--set", "num_generations=1"], "a group of one has no baseline"),
        (["--set", "negative_reward=1"], "expected a number below 0"),
    ],
)
def test_bad_input_is_one_line_and_status_2(cal_grpo, arguments, message):
    line = refused(cal_grpo("train", *arguments))
    assert line.startswith("cal-grpo: ")
    assert message in line


def test_a_data_file_is_refused_with_the_number_of_its_bad_line(cal_grpo, tmp_path):
    (tmp_path / "data.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n{"question": "2+2?"}\n')
    line = refused(cal_grpo("train", "--task", "jsonl", "--data", "data.jsonl"))
    assert "data.jsonl, line 2" in line
    assert "'answer'" in line


def test_a_folder_of_data_names_a_file_in_it(cal_grpo, tmp_path):
    (tmp_path / "data").mkdir()
    words = ["--task", "jsonl", "--data", "data"]
    assert "data data: is a folder; expected one file (JSON lines, a" in refused(cal_grpo("train", *words))
    (tmp_path / "data" / "train.jsonl").write_text("")
    assert refused(cal_grpo("train", *words)).endswith("data data: is a folder; expected one file, such as data/train.jsonl")


def test_a_run_folder_is_no_model_but_has_one(cal_grpo, stopped_run):
    line = refused(cal_grpo("train", "--model", "run"))
    assert line.endswith("a run folder that holds no policy yet; go on with it (cal-grpo train --resume run)")
    (stopped_run / "policy").mkdir()
    (stopped_run / "policy" / "config.json").write_text("{}")
    assert refused(cal_grpo("train", "--model", "run")).endswith("a run folder; expected the policy in it, run/policy")
    assert refused(cal_grpo("eval", "--model", "run")).endswith("a run folder; expected the policy in it, run/policy")
    assert not (stopped_run.parent / "runs").exists()


def test_a_hub_that_is_down_is_asked_once(cal_grpo, monkeypatch, tmp_path):
    import huggingface_hub.constants

    with JudgeServer(lambda r: error(r, 503, "down")) as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.port}")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
        line = refused(cal_grpo("train", "--model", "org/name"))
    assert "model_id 'org/name' could not be downloaded (the hub does not answer: " in line
    assert line.endswith(", and no copy is on this machine); pass a local folder instead")
    assert [r.path for r in server.requests].count("/api/models/org/name") == 1


def test_a_dotenv_file_in_utf_16_is_one_line(cal_grpo, tmp_path):
    (tmp_path / ".env").write_bytes("OPENAI_API_KEY=not-a-real-key\n".encode("utf-16"))
    status, out, err = cal_grpo("train")
    assert (status, out) == (2, "")
    assert err == "cal-grpo: .env: cannot be read (not UTF-8 text); expected lines KEY=value, saved as UTF-8\n"


def test_the_judges_options_are_the_same_in_training_and_for_oracles(cal_grpo):
    options = ("--judge-model", "--base-url", "--few-shot", "--style", "--corrections", "--max-answer-tokens")
    for command in (["train"], ["oracle", "ask"], ["oracle", "check"], ["oracle", "bench"]):
        status, out, _ = cal_grpo(*command, "-h")
        assert status == 0
        assert [name for name in options if name not in out] == [], command


def test_the_judges_options_are_keys_of_the_config():
    judge = Judge("m", "http://x", Path("shots.json"), "steps", True, 40)
    assert load_config(overrides=judge.keys()) == load_config(
        overrides={"cal_model": "m", "cal_base_url": "http://x", "oracle.few_shot": "shots.json", "oracle.style": "steps",
                   "oracle.corrections": True, "oracle.max_answer_tokens": 40}
    )  # fmt: skip
    assert Judge().keys() == Judge().settings() == {}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cal-grpo ", "compare"), ("cal-grpo train --task ", "gsm_symbolic"), ("cal-grpo train --oracle ", "arithmetic"),
        ("cal-grpo train --engine ", "tunix"), ("cal-grpo train --style ", "repair"),
        ("cal-grpo train --set roll", "rollout.top_p="), ("cal-grpo oracle check --oracle ", "gemini"),
    ],
)  # fmt: skip
def test_a_shell_completes_commands_options_and_choices(cal_grpo, monkeypatch, words, expected):
    monkeypatch.setenv("_CAL_GRPO_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - (not words.endswith(" "))))
    status, out, _ = cal_grpo()
    assert status == 0
    assert expected in out.split()


def test_flags_are_shown_without_a_value(cal_grpo):
    for command in (["train"], ["cache", "prune"], ["inspect"], []):
        _, out, _ = cal_grpo(*command, "--help")
        assert "<bool>" not in out


def test_an_occupied_output_folder_is_refused_before_anything_is_loaded(cal_grpo, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1}\n')
    assert "run already holds a run (metrics.jsonl)" in refused(cal_grpo("train", "--output", "run"))
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == '{"step": 1}\n'


@pytest.fixture
def stopped_run(tmp_path):
    """A run that was stopped after two of three updates."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("num_train_steps: 3\n")
    (tmp_path / "run" / "summary.json").write_text('{"steps": 2, "stopped": "interrupt"}')
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "4"], "--resume got 'seed', but a run goes on with its own config; only num_train_steps"),
        (["--output", "other"], "--resume got 'output_dir'"),
        (["--overwrite"], "--resume got 'overwrite'"),
        (["--set", "learning_rate=1"], "--resume got 'learning_rate'"),
        (["--set", "num_train_steps=2"], "num_train_steps is 2, but run has 3; expected as many or more"),
        (["--config", "my.yaml"], "--resume goes on with run/config.yaml; got --config my.yaml too: leave it out"),
    ],
)
def test_a_resumed_run_takes_no_other_settings(cal_grpo, stopped_run, arguments, message):
    assert message in refused(cal_grpo("train", "--resume", "run", *arguments))


def test_what_is_no_run_cannot_be_resumed(cal_grpo, tmp_path):
    assert "none holds no run: there is no config.yaml" in refused(cal_grpo("train", "--resume", "none"))


def test_a_finished_run_says_so_and_ends_well(cal_grpo, stopped_run):
    (stopped_run / "summary.json").write_text('{"steps": 3, "stopped": null}')
    status, out, err = cal_grpo("train", "--resume", "run")
    assert (status, out) == (0, "")
    assert err == "run is finished (3 updates); --set num_train_steps=N goes further\n"
    status, out, _ = cal_grpo("train", "--resume", "run", "--json")
    assert (status, json.loads(out)) == (0, {"steps": 3, "stopped": None, "output": "run"})


def test_keys_are_read_from_a_dotenv_file_and_not_shown(cal_grpo, tmp_path):
    (tmp_path / ".env").write_text("OPENAI_API_KEY=not-a-real-key\n")
    line = refused(cal_grpo("train", "--oracle", "openai"))
    assert "no model" in line
    status, out, err = cal_grpo("train", "--oracle", "openai", "--set", "cal_model=m", "--task", "nothing")
    assert status == 2
    assert "task is 'nothing'" in err  # past the key
    assert "not-a-real-key" not in out + err


def test_help_teaches_and_lists_every_key(cal_grpo):
    status, out, _ = cal_grpo("train", "--help")
    assert status == 0
    for expected in ("--model", "--task", "--oracle", "--output", "--seed", "--config", "--set", "--resume", "Examples"):
        assert expected in out
    status, out, _ = cal_grpo("train", "--keys")
    assert status == 0
    for key in ("negative_reward", "rollout.temperature", "ledger.steps"):
        assert key in out


def test_version_is_a_version(cal_grpo):
    status, out, _ = cal_grpo("--version")
    assert status == 0
    assert out.strip().count(".") == 2


def test_a_dry_run_prints_a_config_that_is_one_and_writes_nothing(cal_grpo, tmp_path):
    status, out, err = cal_grpo("train", "--dry-run", "--seed", 3, "--set", "num_train_steps=10")
    assert (status, err) == (0, "")
    assert out.startswith(
        "# a dry run: 4,096 training and 256 held-out questions, 640 sampled answers\npreset: none\nengine: tunix\n"
    )
    (tmp_path / "mine.yaml").write_text(out)
    config = load_config(tmp_path / "mine.yaml")
    assert (config.seed, config.rollout.max_new_tokens) == (3, 104)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_dry_run_says_which_settings_were_chosen_for_a_models_size(cal_grpo, tmp_path):
    (tmp_path / "model").mkdir()
    header = json.dumps({"t": {"dtype": "BF16", "shape": [135_000, 1000], "data_offsets": [0, 0]}}).encode()
    (tmp_path / "model" / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    words = ("train", "--dry-run", "--model", "model", "--set", "learning_rate=3e-6")
    status, out, err = cal_grpo(*words)
    assert (status, err) == (0, "")
    assert "# settings for a language model of 135 M parameters: preset language-model" in out
    (tmp_path / "mine.yaml").write_text(out)
    config = load_config(tmp_path / "mine.yaml")
    assert (config.preset, config.lora.rank, config.learning_rate) == ("language-model", 16, 3e-6)
    assert "settings for a language model" in json.loads(cal_grpo(*words, "--json")[1])["notes"][0]
    # 135 M float32 numbers, and nothing to adapt: weights alone
    assert "# memory: at least 0.5 GB for weights, reference policy, gradients and Adam, 0.0 GB for the logits of" in out
    assert json.loads(cal_grpo(*words, "--json")[1])["memory"] == {"states": 540_000_000, "logits": 0}
    _, out, _ = cal_grpo(*words, "--preset", "none")
    assert "settings for" not in out
    assert "# memory: at least 2.7 GB for" in out


def test_a_dry_run_says_what_a_priced_judge_may_cost_without_a_key(cal_grpo):
    judge = ("--oracle", "openai", "--judge-model", "gpt-5-mini", "--dry-run")
    _, out, _ = cal_grpo("train", *judge)
    line = out.splitlines()[1]
    assert line.startswith("# judge gpt-5-mini: about $0.")
    assert " per 1,000 verdicts (about " in line
    assert "at $0.25 and $2 a million); $0." in line
    _, out, _ = cal_grpo("train", *judge, "--json")
    record = json.loads(out)
    assert (record["answers"], record["judges"][0]["model"]) == (1920, "gpt-5-mini")
    assert f"about ${record['judges'][0]['usd_per_1000']:.2f} per" in line
    assert "price unknown" in cal_grpo("train", "--oracle", "openai:mine", "--dry-run")[1]
    assert "# judge" not in cal_grpo("train", *judge, "--set", "credit=grpo")[1]  # asks nobody


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--oracle", "gemin"], "oracle is 'gemin'; expected one of"),
        (["--oracle", "mine"], "oracle is 'mine'; expected one of"),
        (["--oracle", "mine:Lin"], "oracle 'mine:Lin': module 'mine' has no 'Lin'; did you mean 'Line'?"),
        (["--oracle", "reference@0.5 > mine:Lin"], "oracle 'mine:Lin': module 'mine' has no 'Lin'"),
        (["--set", "reward=mine:rewrd"], "reward 'mine:rewrd': module 'mine' has no 'rewrd'; did you mean 'reward'?"),
        (["--set", "reward=mine:Line"], "is no function; expected (prompts, completions, **columns) -> rewards"),
        (["--judge-model", "m"], "oracle 'reference' makes no use of model"),
        (["--oracle", "reference@0.6 > openai"], "got no model; name one: --judge-model NAME, --oracle openai:NAME or the key"),
        (["--oracle", "local"], "got no model; name a Hugging Face folder: --judge-model FOLDER or the key cal_model"),
        (["--oracle", "openai:m", "--base-url", "localhost"], "base URL 'localhost' has no http:// or https:// before it"),
        (["--oracle", "openai:m", "--base-url", "http://localhost:99999/v1"], "with a port up to 65535"),
        (["--oracle", "openai:m", "--base-url", "http://[::1/v1"], "base URL 'http://[::1/v1' is not one of a server"),
        (["--oracle", "openai:m", "--base-url", "http://a b/v1"], "base URL 'http://a b/v1' is not one of a server"),
        (["--replay", "none.jsonl"], "replay none.jsonl: cannot be read (No such file or directory)"),
        (["--set", "tracker=tensorbord"], "did you mean 'tensorboard'?"),
        (["--model", "a" * 300], "no such folder; expected a Hugging Face folder or a hub id"),
        (["--output", "a" * 300], "File name too long; choose another path"),
        (["--resume", "a" * 300], "File name too long; choose another path"),
    ],
)
def test_a_dry_run_refuses_names_that_lead_nowhere(cal_grpo, tmp_path, monkeypatch, arguments, message):
    (tmp_path / "mine.py").write_text(
        "class Line:\n    async def locate(self, query): ...\n\n\ndef reward(prompts, completions, **columns): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert message in refused(cal_grpo("train", "--dry-run", *arguments))


def test_answers_without_worked_solutions_are_told_before_a_run(cal_grpo, tmp_path):
    """The free oracle reads solutions. Half of them is enough for silence, and a judge needs none."""
    question = {"question": "Ann has 3 apples and buys 4. How many are that?"}
    bare, worked = question | {"answer": "7"}, question | {"answer": "3 + 4 = 7\n#### 7"}
    words = ("train", "--task", "jsonl", "--data", str(tmp_path / "mine.jsonl"), "--dry-run", "--json")

    def notes(rows, *more):
        rows = [row | {"question": f"{row['question']} {i}"} for i, row in enumerate(rows)]
        (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return " ".join(json.loads(cal_grpo(*words, *more)[1])["notes"])

    assert "have no worked solution, which oracle 'reference' reads; it will find false sums only" in notes([bare] * 30)
    for said in (notes([worked] * 30), notes([bare] * 30, "--oracle", "openai:m"), notes([bare] * 30, "--set", "credit=grpo")):
        assert "worked solution" not in said


def test_a_dry_run_prices_the_corrections_that_a_preset_learns(cal_grpo):
    words = ("train", "--preset", "demo", "--oracle", "openai:gpt-5-mini", "--dry-run", "--json")
    tokens = [
        json.loads(cal_grpo(*words, *more)[1])["judges"][0]["answer_tokens"] for more in ((), ("--set", "corrections=off"))
    ]
    assert tokens[0] > tokens[1] == 120


def test_a_dry_run_refuses_what_a_run_would(cal_grpo, stopped_run):
    assert "already holds a run" in refused(cal_grpo("train", "--dry-run", "--output", "run"))
    assert "did you mean 'ledger'" in refused(cal_grpo("train", "--dry-run", "--task", "ledgr"))
    status, out, _ = cal_grpo("train", "--dry-run", "--resume", "run")
    assert status == 0
    assert "num_train_steps: 3\n" in out
