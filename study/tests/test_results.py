"""Results: what is written is read back, and a trial that was cut off is not there."""

import numpy as np
import pytest

from cal_grpo.cli import run_app
from cal_grpo.errors import UsageError
from study.commands import app
from study.stored import Results
from study.trial import Trial

TRIAL = Trial("prefix", 8, 2e-4, 1, updates=20, misjudged=0.3, policy="build/a, b")


def rows(last=20):
    rng = np.random.default_rng(0)
    first = {"update": 0, "held_out": rng.random(13) < 0.5}
    return [first, {"update": last, "held_out": rng.random(13) < 0.5, "kl": 0.25, "right_of_k": np.array([3, 0, 16])}]


def test_a_trial_is_read_back(tmp_path):
    written = rows()
    Results(tmp_path / "out", "first").append(TRIAL, written)
    again = Results(tmp_path / "out", "second").done[TRIAL]
    for ours, theirs in zip(again.rows, written, strict=True):
        np.testing.assert_array_equal(ours["held_out"], theirs["held_out"])
    assert again.rows[1]["kl"] == 0.25
    assert np.isnan(again.rows[0]["kl"])
    assert again.rows[0]["right_of_k"] is None
    np.testing.assert_array_equal(again.rows[1]["right_of_k"], [3, 0, 16])
    np.testing.assert_allclose(again.accuracies, [row["held_out"].mean() for row in written])


def test_a_trial_without_its_last_row_is_not_done(tmp_path):
    results = Results(tmp_path, "first")
    results.append(TRIAL, rows(last=10))
    assert TRIAL not in results.done
    assert TRIAL not in Results(tmp_path, "first").done


def test_another_file_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="not a study's results"):
        Results(tmp_path, "first")


def test_a_line_that_was_cut_off_is_named(tmp_path):
    file = Results(tmp_path, "first").file
    Results(tmp_path, "first").append(TRIAL, rows())
    whole = file.read_text()
    for cut in (60, 30, 13):
        file.write_text(whole[:-cut])
        with pytest.raises(UsageError, match=r"first.csv, line 3: not a whole evaluation"):
            Results(tmp_path, "first")


def test_a_folder_without_results_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["study", "figures", str(tmp_path), "--output", str(tmp_path / "drawn")])
    with pytest.raises(SystemExit) as stopped:
        run_app(app, "study")
    assert stopped.value.code == 2
    assert "no finished trial" in capsys.readouterr().err
    assert not (tmp_path / "drawn").exists()
