"""A run's parts: what its config names, or what a caller handed over.

``config.yaml`` keeps where each part of a user's own came from: the digest of its source for one that the config names as
``module:name``, and ``object`` for one that was handed over in Python. A run goes on with the same parts or not at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cal_grpo.config import OracleSection, TrainConfig
from cal_grpo.credit import FORMULAS, Compute, Formula, formula
from cal_grpo.engines import Parts, RewardFn
from cal_grpo.errors import UsageError
from cal_grpo.oracles import PROVIDERS, CALOracle, Oracle, check_named
from cal_grpo.oracles.several import named_in
from cal_grpo.plugins import Kind, digest, resolve
from cal_grpo.tasks import TASKS, TaskData, load_task

OBJECT = "object"
_BUILT_IN: dict[Kind, Sequence[str]] = {"oracle": PROVIDERS, "credit": tuple(FORMULAS), "task": TASKS, "reward": ()}


@dataclass(frozen=True)
class Given:
    """What a caller of ``train`` handed over; None where the config says it."""

    oracle: CALOracle | Oracle | None = None
    credit: Compute | Formula | None = None
    task: TaskData | None = None
    reward_fns: Sequence[RewardFn] | RewardFn | None = None


def recorded(config: TrainConfig, given: Given) -> TrainConfig:
    """The config as ``config.yaml`` keeps it: with the names of handed-over parts, and where all own parts came from.

    Raises:
        UsageError: a name that the config has leads nowhere.
    """
    names = {
        "cal_provider": given.oracle and str(getattr(given.oracle, "name", type(given.oracle).__name__)),
        "credit": given.credit and formula(given.credit).name,
        "task": given.task and OBJECT,
    }
    return config.model_copy(update={key: name for key, name in names.items() if name} | {"parts": _origins(config, given)})


def check_parts(config: TrainConfig, given: Given) -> None:
    """See that a run goes on with the parts that it had. Nothing is touched.

    Args:
        config: the run's own.
        given: what was handed over now.

    Raises:
        UsageError: a part is missing, is another one, or its source was changed.
    """
    origins = _origins(config, given)
    for kind in {**config.parts, **origins}:
        then, now = config.parts.get(kind), origins.get(kind)
        if then == OBJECT != now:
            raise UsageError(
                f"this run was trained with a {kind} that was handed over in Python; go on with it from there: "
                "cal_grpo.train(config, resume=True, ...)"
            )
        if then != now:
            changed = "another one was handed over" if now == OBJECT else "its source was changed since"
            raise UsageError(
                f"the {kind} is not the one that this run was trained with ({changed}); expected the same: put it back, or "
                "begin a run of its own"
            )


def look_over(config: TrainConfig) -> bool:
    """See what can be seen of the parts that a config names without making any: no key is needed, and nobody is asked.

    Returns:
        Whether an oracle is asked.

    Raises:
        UsageError: as ``parts_of``.
    """
    chosen = formula(config.credit)
    for reward in _rewards(config, Given()):
        _checked(reward)
    asks = config.use_cal and (chosen.needs_oracle or config.teaches)
    if asks and config.oracle.replay is not None:
        _oracle(config, Given(), lambda text: None).close()
    elif asks:
        oracle = config.oracle
        settings: dict[str, Any] = {"model": config.cal_model, "base_url": config.cal_base_url, "few_shot": oracle.few_shot}
        settings |= {name: getattr(oracle, name) for name in ("style", "prices", "max_answer_tokens")}
        settings["corrections"] = oracle.corrections or config.teaches
        check_named(config.cal_provider, settings, oracle.max_usd)
    return asks


def parts_of(config: TrainConfig, given: Given, tell: Callable[[str], None]) -> Parts:
    """The parts, resolved and checked. Whoever calls closes an oracle that was made here; see ``is_own``.

    Raises:
        UsageError: a name leads nowhere, or a part is not what its place expects.
    """
    chosen = formula(given.credit or config.credit)
    rewards = tuple(_checked(reward) for reward in _rewards(config, given))
    asks = config.use_cal and (chosen.needs_oracle or config.teaches)
    oracle = _oracle(config, given, tell) if asks else None
    return Parts(load_task(config, task=given.task), chosen, oracle, rewards)


def _oracle(config: TrainConfig, given: Given, tell: Callable[[str], None]) -> CALOracle:
    if isinstance(given.oracle, CALOracle):
        return given.oracle
    limits = {name: getattr(config.oracle, name) for name in OracleSection.model_fields if name != "on_budget"}
    limits["corrections"] |= config.teaches
    if given.oracle is not None:
        return CALOracle(given.oracle, tell=tell, **limits)
    return CALOracle(config.cal_provider, model=config.cal_model, base_url=config.cal_base_url, tell=tell, **limits)


def _origins(config: TrainConfig, given: Given) -> dict[str, str]:
    """Where each part of a user's own comes from."""
    handed: dict[Kind, Any] = {
        "oracle": given.oracle, "credit": given.credit, "task": given.task, "reward": given.reward_fns,
    }  # fmt: skip
    origins: dict[str, str] = {kind: OBJECT for kind, part in handed.items() if part is not None}
    for kind, names in _named(config).items():
        if names and kind not in origins and config.parts.get(kind) != OBJECT:
            origins[kind] = " ".join(digest(resolve(kind, name, _BUILT_IN[kind])) for name in names)
    return origins


def _named(config: TrainConfig) -> dict[Kind, list[str]]:
    """The names of a user's own parts in a config."""
    leaves = [name for name in named_in(config.cal_provider) if name.partition(":")[0] not in PROVIDERS]
    return {
        "credit": [config.credit] if config.use_cal and config.credit not in FORMULAS else [],
        "oracle": leaves if config.use_cal else [],
        "task": [] if config.task in TASKS else [config.task],
        "reward": list(config.reward),
    }


def _rewards(config: TrainConfig, given: Given) -> list[Any]:
    if given.reward_fns is not None:
        return list(given.reward_fns) if isinstance(given.reward_fns, Sequence) else [given.reward_fns]
    return [resolve("reward", name) for name in config.reward]


def _checked(reward: Any) -> RewardFn:
    """A reward function whose rewards are looked at: a wrong number of them, or a NaN, never reaches an update.

    Raises:
        UsageError: it is no function.
    """
    name = getattr(reward, "__name__", type(reward).__name__)
    if not callable(reward) or isinstance(reward, type):
        raise UsageError(f"reward {reward!r:.60} is no function; expected (prompts, completions, **columns) -> rewards")

    def checked(prompts: Any, completions: Any, **columns: Any) -> list[float]:
        try:
            given = reward(prompts=prompts, completions=completions, **columns)
        except UsageError:
            raise
        except Exception as e:
            said = " ".join(f"{type(e).__name__}: {e}".split())
            raise UsageError(f"reward {name} failed ({said:.200}); correct the function") from e
        try:
            rewards_B = np.asarray(list(given), dtype=np.float64)
        except (TypeError, ValueError):
            rewards_B = np.zeros((0, 0))
        if rewards_B.shape != (len(completions),):
            raise UsageError(f"reward {name} gave {given!r:.60}; expected {len(completions)} numbers, one a completion")
        if not np.isfinite(rewards_B).all():
            raise UsageError(f"reward {name} gave {given!r:.60}; expected finite numbers")
        return [float(value) for value in rewards_B]

    checked.__name__ = name
    return checked
