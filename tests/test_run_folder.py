import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.alignment import Decoded, Miss, TokenSpan
from cal_grpo.config import TrainConfig
from cal_grpo.credit import Batch
from cal_grpo.errors import UsageError
from cal_grpo.grading import Grade
from cal_grpo.oracles import Tag, Verdict
from cal_grpo.pipeline import Completion, Credited, Judged
from cal_grpo.runs.folder import RunFolder, check_output, run_characters, run_lengths, sample_record


def config(tmp_path, **changes):
    return TrainConfig.model_validate({"output_dir": tmp_path / "run"} | changes)


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def credited(rows=2):
    completion = Completion("q", "1+1=2\n#### 2", [4, 5, 6], Grade(False, "3", "2", "number"), 0.0)
    verdict = Verdict(Tag.FOUND, "1+1 is 2", "=3", confidence=0.9)
    decoded = Decoded("1+1=3", np.array([0, 3, 4]), np.array([3, 4, 5]), np.zeros(3, bool))  # 1+1, =, 3
    judged = Judged(completion, decoded, verdict, TokenSpan(1, 3, 3, 5, "exact", 1.0))
    batch = Batch(np.zeros(rows), np.zeros(rows, bool), np.full(rows, 3), [judged.outcome] * rows, group_size=rows)
    return Credited(np.tile(np.float32([0.3, -1, -1]), (rows, 1)), batch, {}, {}, [judged] * rows)


def test_a_sample_holds_all_that_led_to_its_advantages(tmp_path):
    with RunFolder(config(tmp_path)) as folder:
        folder.write_samples(4, credited())
    row, _ = lines(tmp_path / "run" / "samples.jsonl")
    assert row["step"] == 4
    assert (row["question"], row["response"], row["correct"], row["extracted"]) == ("q", "1+1=3", False, "3")
    assert row["verdict"] == {
        "tag": "found", "critique": "1+1 is 2", "segment": "=3", "confidence": 0.9, "missed": None,
    }  # fmt: skip
    assert row["span"] == {"tokens": [1, 3], "characters": [3, 5], "method": "exact", "score": 1.0}
    assert row["advantages"] == [[0.3, 1], [-1.0, 2]]
    assert row["advantage_characters"] == [3, 2]


def test_a_sample_holds_what_should_have_stood_there_where_the_oracle_says_so():
    judged = credited().judged[0]
    told = replace(judged, verdict=replace(judged.verdict, correction="1+1=2\n#### 2"))
    verdict = sample_record(told, np.zeros(3, np.float32))["verdict"]
    assert (verdict["correction"], verdict["copies_reference"]) == ("1+1=2\n#### 2", False)  # 1+1=3 is written as 1+1=2 is
    worded = replace(told, decoded=replace(judged.decoded, text="It is three"))
    assert sample_record(worded, np.zeros(3, np.float32))["verdict"]["copies_reference"] is True
    assert "correction" not in sample_record(judged, np.zeros(3, np.float32))["verdict"]


def test_a_quote_that_could_not_be_mapped_says_why():
    judged = credited().judged[0]
    missed = Judged(judged.completion, judged.decoded, judged.verdict, Miss("too_long", "70 tokens"))
    record = sample_record(missed, np.zeros(3, np.float32))
    assert (record["miss"], record["verdict"]["missed"]) == ("too_long", "quote_too_long")
    assert "span" not in record


def test_a_share_of_the_samples_is_drawn_by_the_seed(tmp_path):
    counts = []
    for _ in "ab":
        with RunFolder(config(tmp_path, sample_share=0.25, overwrite=True)) as folder:
            folder.write_samples(1, credited(rows=400))
        counts.append(len(lines(tmp_path / "run" / "samples.jsonl")))
    assert counts[0] == counts[1]
    assert 60 < counts[0] < 140  # 100 expected, standard deviation 8.7


def test_metrics_are_json_even_where_a_number_is_not_finite(tmp_path):
    with RunFolder(config(tmp_path)) as folder:
        written = folder.write_metrics({"step": 1, "loss": float("nan"), "kl": float("inf"), "reward": 0.5})
    (row,) = lines(tmp_path / "run" / "metrics.jsonl")
    assert row == written == {"step": 1, "loss": None, "kl": None, "reward": 0.5}


def test_a_folder_with_a_run_is_refused_or_replaced_and_other_files_stay(tmp_path):
    with RunFolder(config(tmp_path)) as folder:
        folder.write_summary({"seed": 0})
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"already holds a run .* pass --overwrite"):
        RunFolder(config(tmp_path))
    with RunFolder(config(tmp_path, overwrite=True)):
        pass
    assert not (tmp_path / "run" / "summary.json").exists()
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_an_output_that_cannot_be_a_folder_is_one_line(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UsageError, match="cannot be created"):
        RunFolder(config(tmp_path))
    with pytest.raises(UsageError, match=r"cannot be created .* is a file"):  # known before a policy is loaded
        check_output(config(tmp_path))


@given(st.lists(st.sampled_from([0.0, -1.0, 0.3, 0.123456]), max_size=40))
def test_run_lengths_spell_out_the_values(values):
    coded = run_lengths(np.array(values, np.float32))
    assert [value for value, count in coded for _ in range(int(count))] == values
    assert all(a[0] != b[0] for a, b in itertools.pairwise(coded))


def test_a_character_that_two_tokens_share_is_the_first_one_s():
    ends_T = np.array([1, 2, 2, 2, 4])  # a, half of é, its other half, nothing, "bc"
    assert run_characters([[0.5, 2], [-1.0, 2], [0.0, 1]], ends_T) == [2, 0, 2]
    assert run_characters([], np.zeros(0, np.int64)) == []


def test_half_a_surrogate_pair_is_written_as_json_spells_it(tmp_path):
    with RunFolder(config(tmp_path)) as folder:
        folder.write_evaluation("after", [{"question": "a \ud800 b"}])
    assert lines(tmp_path / "run" / "eval.jsonl")[0]["question"] == "a \ud800 b"
