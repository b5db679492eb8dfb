"""The public names and how they are called: a change here is a change for users, and stands in the changelog."""

import inspect
import subprocess
import sys

import pytest

import cal_grpo
from cal_grpo import engines, runs, tasks

SIGNATURES = {
    "CALOracle": "(provider, *, model, base_url, api_key, few_shot, style, corrections, timeout_s, concurrency, attempts, "
    "patience_s, ask_again, rpm, tpm, max_calls, max_tokens, max_usd, prices, max_answer_tokens, breaker_failures, "
    "breaker_pause_s, cache, log, replay, tell)",
    "Grade": "(correct, extracted, expected, method)",
    "Query": "(question, reference, response)",
    "Usage": "(calls, prompt_tokens, completion_tokens, usd, latency_s)",
    "Verdict": "(tag, critique, segment, hint, confidence, usage, cached, detail, retry_after_s, again, correction)",
    "assign_credit": "(credit, batch, weights, fallbacks, mean_found)",
    "construct_sparse_rewards": "(spans, lengths, negative_reward)",
    "evaluate": "(config, samples, output, *, overwrite, every, watcher, began)",
    "grade_answer": "(response_text, reference_answer)",
    "load_config": "(file, overrides, preset)",
    "map_segment_to_token_indices": "(token_ids, segment, tokenizer, max_span_tokens, hint, *, threshold, on_ambiguous)",
    "train": "(config, *, oracle, credit, task, reward_fns, callbacks, watcher, began, resume)",
}
NOT_CALLED = {"Oracle", "Tag", "TrainConfig", "__version__"}


def parameters(function):
    found, starred = [], False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            found.append("*")
            starred = True
        found.append(parameter.name)
    return f"({', '.join(found)})"


def test_the_top_level_shows_these_names_and_no_others():
    assert set(dir(cal_grpo)) == set(cal_grpo.__all__) == set(SIGNATURES) | NOT_CALLED


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_signatures(name):
    assert parameters(getattr(cal_grpo, name)) == SIGNATURES[name]


def test_the_version_is_the_packages():
    assert cal_grpo.__version__.count(".") >= 1


def test_what_the_rooms_hand_on_is_there():
    for room in (engines, runs, tasks):
        for name in room.__all__:
            assert getattr(room, name) is not None


def test_the_package_imports_in_a_moment():
    """Well under a second; what it takes is measured in docs/architecture.md, not here."""
    code = "import cal_grpo, sys; print(sorted(m for m in sys.modules if m.startswith('cal_grpo')))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "['cal_grpo']"
