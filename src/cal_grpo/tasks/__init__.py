"""What is asked? Questions with references, by a task's name or from a file."""

import difflib
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cal_grpo.errors import UsageError
from cal_grpo.tasks.ledger import stories
from cal_grpo.tasks.split import split_of
from cal_grpo.tasks.types import USUAL, Example, Fields

if TYPE_CHECKING:
    from cal_grpo.config import TrainConfig

TASKS = ("ledger", "gsm_symbolic", "gsm8k", "math", "jsonl")
_GENERATORS = ("ledger", "gsm_symbolic")
_FIELDS = {"math": Fields(question="problem", answer="solution", worked=True)}
_GENERATED = 4096  # training questions of a generated task, unless the config says how many


@dataclass(frozen=True)
class TaskData:
    """A task's questions, and how long its prompts and answers get with a tokenizer that spells out digits."""

    train: Sequence[Example]
    eval: Sequence[Example]
    prompt_tokens: int
    answer_tokens: int


def load_task(config: "TrainConfig", train: bool = True, every: bool = False) -> TaskData:
    """The questions of a run: at most ``max_train_samples`` and ``max_eval_samples``.

    Held-out questions do not depend on the run's seed, so that runs can be compared. A data file without a test part
    gives its held-out eighth, by the hash of the question.

    Args:
        config: names the task.
        train: whether training questions are wanted.
        every: hold out every question of the data file, for a file that nothing was trained on.

    Raises:
        UsageError: unknown task, or data that cannot be read.
    """
    if every and config.data is None:
        raise UsageError("--all got no data file; expected --data FILE.jsonl, or leave --all out")
    if config.data is not None and config.task in _GENERATORS:
        raise UsageError(
            f"task {config.task!r} makes its own questions; got --data {config.data} too: "
            "choose --task jsonl or gsm8k, or leave --data out"
        )
    if config.task == "ledger":
        steps = config.ledger.steps
        streams = stories(seed=config.seed, steps=steps, split="train"), stories(seed=0, steps=steps, split="eval")
        return TaskData(*_generated(config, train, *streams), prompt_tokens=40 + 11 * steps, answer_tokens=16 + 11 * steps)
    if config.task == "gsm_symbolic":
        from cal_grpo.tasks.gsm_symbolic import problems

        streams = problems(seed=config.seed, split="train"), problems(seed=0, split="eval")
        return TaskData(*_generated(config, train, *streams), prompt_tokens=256, answer_tokens=256)
    if config.task in ("gsm8k", "jsonl"):
        return TaskData(*_from_data(config, train, every), prompt_tokens=384, answer_tokens=384)
    if config.task == "math":
        return TaskData(*_from_data(config, train, every), prompt_tokens=512, answer_tokens=768)
    near = difflib.get_close_matches(config.task, TASKS, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"task is {config.task!r}; expected one of {', '.join(TASKS)}{guess}")


def _generated(
    config: "TrainConfig", want_train: bool, train: Iterator[Example], held_out: Iterator[Example]
) -> tuple[list[Example], list[Example]]:
    return (
        list(itertools.islice(train, config.max_train_samples or _GENERATED)) if want_train else [],
        list(itertools.islice(held_out, config.max_eval_samples)),
    )


def _from_data(config: "TrainConfig", want_train: bool, every: bool) -> tuple[list[Example], list[Example]]:
    if config.data is not None:
        from cal_grpo.tasks.jsonl import read_jsonl

        examples = read_jsonl(config.data, _fields(config))
        train = [e for e in examples if not every and split_of(e.question) == "train"]
        held_out = [e for e in examples if every or split_of(e.question) == "eval"]
        if want_train and not train:
            raise UsageError(f"data {config.data}: all {len(examples)} questions fall into the held-out eighth; add more")
    elif config.task == "jsonl":
        raise UsageError("task 'jsonl' got no data; expected --data FILE.jsonl")
    else:
        from cal_grpo.tasks.hub import read_hub

        train, held_out = read_hub(config.task, _fields(config))
    random.Random(f"subset/{config.seed}").shuffle(train)
    random.Random("held-out").shuffle(held_out)
    return train[: config.max_train_samples] if want_train else [], held_out[: config.max_eval_samples]


def _fields(config: "TrainConfig") -> Fields:
    """The config's columns where it names them, else the task's."""
    usual, own = _FIELDS.get(config.task, USUAL), config.fields
    return Fields(
        question=own.question or usual.question,
        answer=own.answer or usual.answer,
        reference=own.reference or usual.reference,
        worked=usual.worked and own.answer is None,
    )


__all__ = ["TASKS", "Example", "TaskData", "load_task", "stories"]
