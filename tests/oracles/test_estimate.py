"""What verdicts may cost, before any is bought."""

import json

import pytest

from cal_grpo.errors import UsageError
from cal_grpo.oracles import Query, verdict_costs
from cal_grpo.oracles.judges import query_prompt, static_prompt

QUERIES = [Query("What is 2+3?", "2+3=5", "2+3=6"), Query("What is 2+3*4, and why is it that?", "3*4=12", "5*4=20" * 70)]


def test_prompts_are_measured_and_priced():
    (cost,) = verdict_costs("openai", QUERIES, model="gpt-5-mini")
    characters = len(static_prompt(())) + sum(len(query_prompt(query)) for query in QUERIES) / 2
    assert (cost.model, cost.prompt_tokens) == ("gpt-5-mini", round(characters / 3.5))
    assert (cost.answer_tokens, cost.critiques) == (120, 1)
    assert cost.usd_per_1000 == pytest.approx((cost.prompt_tokens * 0.25 + 120 * 2) / 1000)  # dollars a million


def test_an_answer_is_longer_where_it_repairs_and_shorter_where_it_is_cut_off():
    tokens = (5 + 420) / 2 / 3.5  # of a response
    for given in ({"style": "repair"}, {"corrections": True}):
        assert verdict_costs("gemini", QUERIES, **given)[0].answer_tokens == round(120 + tokens)
    assert verdict_costs("gemini", QUERIES, style="repair", max_answer_tokens=90)[0].answer_tokens == 90


@pytest.mark.parametrize(
    ("provider", "judges"),
    [
        ("reference", []), ("reference > arithmetic", []), ("local", []), ("gemini", [("gemini-2.5-flash", 1)]),
        ("openai:a", [("a", 1)]), ("openai", []), ("reference@0.6 > 3 x openai:a", [("a", 3)]),
        ("union(openai:a, gemini:b)", [("a", 1), ("b", 1)]), ("my.module:Judge", []),
    ],
)  # fmt: skip
def test_every_judge_of_a_line_is_estimated_once(provider, judges):
    assert [(cost.model, cost.critiques) for cost in verdict_costs(provider, QUERIES)] == judges


def test_critiques_add_up_and_a_price_that_is_not_known_is_none(tmp_path):
    one, three = (verdict_costs(p, QUERIES, model="gpt-5-mini")[0].usd_per_1000 for p in ("openai", "3 x openai"))
    assert three == pytest.approx(3 * one)
    assert verdict_costs("openai:mine", QUERIES)[0].usd_per_1000 is None
    (tmp_path / "prices.yaml").write_text("mine: {input: 0, output: 10}\n")
    assert verdict_costs("openai:mine", QUERIES, prices=tmp_path / "prices.yaml")[0].usd_per_1000 == pytest.approx(1.2)


def test_examples_are_counted_and_what_cannot_be_read_is_one_line(tmp_path):
    shot = {"question": "q" * 700, "correct_solution": "1", "incorrect_solution": "2", "error_segment": "2", "critique": "no"}
    (tmp_path / "shots.json").write_text(json.dumps([shot]))
    plain, shown = (verdict_costs("gemini", QUERIES, few_shot=f)[0] for f in (None, tmp_path / "shots.json"))
    assert shown.prompt_tokens > plain.prompt_tokens + 200
    with pytest.raises(UsageError, match=r"none\.json"):
        verdict_costs("gemini", QUERIES, few_shot=tmp_path / "none.json")
