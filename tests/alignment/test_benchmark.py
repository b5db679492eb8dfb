"""The benchmark's own gold, worked out by hand, and the benchmark itself on a few real solutions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from _edits import apply, inserted, replaced, respelled, survivors
from _gold import Bench

ROOT = Path(__file__).parents[2]


def bench(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks/mapping.py", "--kinds", "--no-speed", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_survives_an_edit():
    text = "He had 5 * 4."
    edits = [inserted(0, "- "), replaced(0, 2, "She"), respelled(9, 10, "×"), replaced(12, 13, "")]
    changed, origin = apply(text, edits)
    assert changed == "- She had 5 × 4"
    assert origin == [-1, -1, -1, -1, -1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert survivors(text, edits) == (3, 12)  # from "had" to "4"
    assert survivors(text, [replaced(0, len(text), "none of it")]) is None


def test_gold_counts_bytes(bytewise, sentencepiece):
    text = "é 1"  # three characters, four bytes
    gold = Bench("", bytewise("Ã", "©Ġ", "1")).gold(text, [0, 1, 2])
    assert (gold.sizes, gold.tokens(0, 1), gold.tokens(1, 3), gold.tokens(1, 2)) == ([1, 2, 1], (0, 2), (2, 3), None)
    gold = Bench("", sentencepiece("▁", "<0xC3>", "<0xA9>", "▁1")).gold(text, [0, 1, 2, 3])
    assert (gold.sizes, gold.tokens(0, 1)) == ([0, 1, 1, 2], (1, 3))


def test_the_benchmark_on_real_solutions():
    if not (folder := os.environ.get("CAL_GRPO_DATA")):
        pytest.skip("needs the real data: set CAL_GRPO_DATA to its folder")
    data = [Path(folder, name) for name in ("verify_then_generate/first_error.jsonl", "gsm8k/example_model_solutions.jsonl")]
    done = bench("--data", *data, "--tokenizer", ROOT / "src/cal_grpo/policies/ledger-tiny", "--limit", "60")
    assert done.returncode == 0, done.stderr
    for rows in (tokenizers["ledger-tiny"] for tokenizers in json.loads(done.stdout)["accuracy"].values()):
        for name in ("verbatim, hint", "verbatim, step index as hint", "verbatim, hint, other segmentation"):
            assert rows[name]["n"] > 50
            assert rows[name]["exact"] == 1.0
        for name in ("step of another question", "number changed", "operator changed"):
            assert rows[name]["accepted"] == 0
        for name in ("white space", "case", "LaTeX added", "markdown stripped", "ellipsis", "quotation marks"):
            assert rows[name]["n"] > 30
            assert rows[name]["exact"] == 1.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"question": "?"}', "bad.jsonl, line 1: got ['question']; expected response, step_spans and first_error_step"),
        ("{", "bad.jsonl, line 1: this is no JSON object"),
        ("", "bad.jsonl: no quotes in it"),
    ],
)
def test_bad_data_is_one_line(tmp_path, content, message):
    file = tmp_path / "bad.jsonl"
    file.write_text(content)
    done = bench("--data", file)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_a_missing_file_or_folder_is_one_line(tmp_path):
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({"question": "?", "response": "5", "step_spans": [[0, 1]], "first_error_step": 0}))
    for arguments in (("--data", tmp_path / "none.jsonl"), ("--data", data, "--tokenizer", tmp_path)):
        done = bench(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "no such file" in done.stderr
