"""What a model's tokens cost, from ``prices.yaml`` and a file of the user's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cal_grpo.errors import UsageError

PRICES = Path(__file__).with_name("prices.yaml")


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    input: float
    output: float

    def usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


def price_of(model: str, file: Path | str | None = None) -> Price | None:
    """A model's price; None where neither the user's file nor the package's table knows it.

    Raises:
        UsageError: the user's file cannot be read, or an entry is not a price.
    """
    table = _load(PRICES) | (_load(Path(file)) if file is not None else {})
    return table.get(model.removeprefix("models/"))


def _load(file: Path) -> dict[str, Price]:
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as e:
        raise UsageError(
            f"prices {file}: cannot be read as YAML ({' '.join(str(e).split())}); check the path and syntax"
        ) from e
    if not isinstance(entries, dict):
        raise UsageError(f"prices {file}: holds a {type(entries).__name__}; expected model: {{input: USD, output: USD}}")
    return {str(model): _price(entry, f"prices {file}, {model}") for model, entry in entries.items()}


def _price(entry: Any, where: str) -> Price:
    values = [entry.get(name) if isinstance(entry, dict) else None for name in ("input", "output")]
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v < float("inf")]
    if len(numbers) != 2:
        raise UsageError(f"{where}: got {entry!r}; expected {{input: USD, output: USD}} per million tokens, 0 or more")
    return Price(*numbers)
