"""What is asked? Questions with references, by a task's name or from a file."""

import difflib
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cal_grpo.errors import UsageError
from cal_grpo.tasks.types import Example

if TYPE_CHECKING:
    from cal_grpo.config import TrainConfig

TASKS = ("ledger", "gsm_symbolic", "gsm8k", "jsonl")
_GENERATED = 4096  # training questions of a generated task, unless the config says how many


@dataclass(frozen=True)
class TaskData:
    """A task's questions, and how long its prompts and answers get with a tokenizer that spells out digits."""

    train: Sequence[Example]
    eval: Sequence[Example]
    prompt_tokens: int
    answer_tokens: int


def load_task(config: "TrainConfig") -> TaskData:
    """The questions of a run: at most ``max_train_samples`` and ``max_eval_samples``.

    Held-out questions do not depend on the run's seed, so that runs can be compared. A data file without a test part
    gives its held-out eighth, by the hash of the question.

    Raises:
        UsageError: unknown task, or data that cannot be read.
    """
    if config.task == "ledger":
        from cal_grpo.tasks.ledger import stories

        steps = config.ledger.steps
        train = stories(seed=config.seed, steps=steps, split="train")
        held_out = stories(seed=0, steps=steps, split="eval")
        return TaskData(*_generated(config, train, held_out), prompt_tokens=40 + 11 * steps, answer_tokens=16 + 11 * steps)
    if config.task == "gsm_symbolic":
        from cal_grpo.tasks.gsm_symbolic import problems

        train, held_out = problems(seed=config.seed, split="train"), problems(seed=0, split="eval")
        return TaskData(*_generated(config, train, held_out), prompt_tokens=256, answer_tokens=256)
    if config.task in ("gsm8k", "jsonl"):
        return TaskData(*_from_data(config), prompt_tokens=384, answer_tokens=384)
    near = difflib.get_close_matches(config.task, TASKS, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"task is {config.task!r}; expected one of {', '.join(TASKS)}{guess}")


def _generated(
    config: "TrainConfig", train: Iterator[Example], held_out: Iterator[Example]
) -> tuple[list[Example], list[Example]]:
    return (
        list(itertools.islice(train, config.max_train_samples or _GENERATED)),
        list(itertools.islice(held_out, config.max_eval_samples)),
    )


def _from_data(config: "TrainConfig") -> tuple[list[Example], list[Example]]:
    from cal_grpo.tasks.jsonl import of_split, read_gsm8k, read_jsonl

    if config.data is not None:
        examples = read_jsonl(config.data)
        train, held_out = of_split(examples, "train"), of_split(examples, "eval")
        if not train:
            raise UsageError(f"data {config.data}: all {len(examples)} questions fall into the held-out eighth; add more")
    elif config.task == "gsm8k":
        train, held_out = read_gsm8k()
    else:
        raise UsageError("task 'jsonl' got no data; expected --data FILE.jsonl")
    random.Random(f"subset/{config.seed}").shuffle(train)
    random.Random("held-out").shuffle(held_out)
    return train[: config.max_train_samples], held_out[: config.max_eval_samples]


__all__ = ["TASKS", "Example", "TaskData", "load_task"]
