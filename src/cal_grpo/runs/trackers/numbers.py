"""What of a row can be drawn."""

from cal_grpo.runs.callbacks import Metrics


def numbers(row: Metrics) -> dict[str, float]:
    """A row's numbers, without its step and without those that were not finite."""
    return {name: value for name, value in row.items() if name != "step" and isinstance(value, int | float)}
