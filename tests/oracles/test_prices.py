"""What tokens cost, and a budget on a hand-worked example."""

import pytest
import yaml

from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Usage
from cal_grpo.oracles.judges.prices import PRICES, Price, price_of
from cal_grpo.oracles.requests.budget import Budget


def test_the_packages_table_says_when_and_where_each_price_was_read():
    table = yaml.safe_load(PRICES.read_text())
    assert "gemini-2.5-flash" in table
    for model, entry in table.items():
        assert set(entry) == {"input", "output", "as_of", "source"}
        assert price_of(model) == Price(entry["input"], entry["output"])


def test_dollars_by_hand():
    assert Price(0.30, 2.50).usd(1_000_000, 0) == pytest.approx(0.30)
    assert Price(0.30, 2.50).usd(2000, 400) == pytest.approx(0.0006 + 0.001)


def test_the_users_file_wins_and_adds(tmp_path):
    file = tmp_path / "prices.yaml"
    file.write_text("gemini-2.5-flash: {input: 9, output: 9}\nmine: {input: 0, output: 0.5, note: ours}")
    assert price_of("gemini-2.5-flash", file) == Price(9, 9)
    assert price_of("models/mine", file) == Price(0, 0.5)
    assert price_of("mine") is None
    assert price_of("gpt-4o", file) == price_of("gpt-4o")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read as YAML"),
        ("a: [", "cannot be read as YAML"),
        ("- a", "holds a list"),
        ("m: 3", r"m: got 3; expected \{input: USD"),
        ("m: {input: 1}", "expected"),
        ("m: {input: -1, output: 1}", "expected"),
        ("m: {input: .nan, output: 1}", "expected"),
        ("m: {input: true, output: 1}", "expected"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, content, message):
    file = tmp_path / "prices.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=message) as error:
        price_of("m", file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_a_limit_in_dollars_wants_a_price(tmp_path, provider):
    with pytest.raises(UsageError, match="the price of model 'unheard-of' is not known"):
        CALOracle(provider, model="unheard-of", api_key="k" * 20, max_usd=1.0)
    file = tmp_path / "prices.yaml"
    file.write_text("unheard-of: {input: 0, output: 0}")
    CALOracle(provider, model="unheard-of", api_key="k" * 20, max_usd=1.0, prices=file)
    CALOracle(provider, model="unheard-of", api_key="k" * 20)


def test_a_budget_by_hand():
    budget = Budget(max_calls=3, max_tokens=1000, max_usd=0.5)
    budget.start()
    budget.start()
    assert budget.reached() is None
    budget.start()
    assert budget.reached() == "max_calls=3"  # in flight counts
    budget.finish(Usage(1, 300, 100, 0.1))
    budget.finish(Usage(0))  # a free answer
    assert budget.reached() is None
    budget.finish(Usage(1, 500, 100, 0.1))
    assert budget.reached() == "max_tokens=1000"
    assert budget.spent == Usage(2, 800, 200, pytest.approx(0.2))
    assert Budget().reached() is None
    dollars = Budget(max_usd=0.5)
    dollars.start()
    dollars.finish(Usage(1, 1, 1, 0.5))
    assert dollars.reached() == "max_usd=0.5"


def test_usages_add_and_an_unknown_price_stays_unknown():
    assert Usage(1, 2, 3, 0.5, 1.0) + Usage(1, 2, 3, 0.25, 1.0) == Usage(2, 4, 6, 0.75, 2.0)
    assert (Usage(usd=0.5) + Usage(usd=None)).usd is None
    assert Usage(1, 2, 3).tokens == 5
