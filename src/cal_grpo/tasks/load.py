"""From a config to its questions."""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cal_grpo.errors import UsageError
from cal_grpo.tasks.ledger import stories
from cal_grpo.tasks.own import checked_task, own_task, shared_questions
from cal_grpo.tasks.sources import read_source
from cal_grpo.tasks.split import key_of, split_of
from cal_grpo.tasks.types import USUAL, Example, Fields, TaskData

if TYPE_CHECKING:
    from cal_grpo.config import ChatSection, TrainConfig

TASKS = ("ledger", "gsm_symbolic", "gsm8k", "math", "jsonl")
_GENERATORS = ("ledger", "gsm_symbolic")
_FIELDS = {"math": Fields(question="problem", answer="solution", worked=True)}
_LENGTHS = {"gsm_symbolic": (256, 256), "gsm8k": (384, 384), "jsonl": (384, 384), "math": (512, 768)}
_GENERATED = 4096  # training questions of a generated task, unless the config says how many


def load_task(config: "TrainConfig", train: bool = True, every: bool = False, task: TaskData | None = None) -> TaskData:
    """The questions of a run: at most ``max_train_samples`` and ``max_eval_samples``.

    Held-out questions do not depend on the run's seed, so that runs can be compared. A data file without a test part
    gives its held-out eighth, by the hash of the question.

    Args:
        config: names the task: one of ``TASKS``, or ``module:name`` of a ``TaskData`` or of a function of the config that
            makes one.
        train: whether training questions are wanted.
        every: hold out every question of the data file, for a file that nothing was trained on.
        task: takes the place of the one that the config names.

    Raises:
        UsageError: unknown task, or data that cannot be read.
    """
    if every and config.data is None:
        raise UsageError("--all got no data file; expected --data FILE.jsonl, or leave --all out")
    if task is not None:
        loaded = _limited(config, checked_task("task", task), train, every)
    elif config.task not in TASKS:
        from cal_grpo.plugins import resolve

        loaded = _limited(config, own_task(config.task, resolve("task", config.task, TASKS), config), train, every)
    elif config.task in _GENERATORS:
        loaded = _generated(config, train)
    else:
        loaded = _from_data(config, train, every)
    if train and not loaded.eval and config.max_eval_samples:
        loaded = replace(loaded, notes=(*loaded.notes, "no question is held out, so accuracy will not be measured"))
    return _with_chat(loaded, config.chat)


def _with_chat(task: TaskData, chat: "ChatSection") -> TaskData:
    """The task with the config's prompts in the place of its own; an empty one leaves the prompt out."""
    if chat.answer_format is not None:
        task = replace(task, answer_format=chat.answer_format or None)
    if chat.system is not None:
        task = replace(task, system=chat.system or None, train=_unsystematic(task.train), eval=_unsystematic(task.eval))
    return task


def _unsystematic(examples: Sequence[Example]) -> list[Example]:
    return [replace(e, before=tuple(m for m in e.before if m[0] != "system")) if e.before else e for e in examples]


def _limited(config: "TrainConfig", task: TaskData, want_train: bool, every: bool) -> TaskData:
    """A person's own task: in its order, and with its own idea of what is held out."""
    if want_train and not task.train:
        raise UsageError("the task has no training question; expected one or more")
    notes = task.notes
    if want_train and (shared := shared_questions(task)):
        notes = (*notes, f"{shared} of {len(task.eval)} held-out questions are training questions too")
    train = list(task.train)[: config.max_train_samples] if want_train else []
    held_out = [*task.eval, *task.train] if every else list(task.eval)
    return replace(task, train=train, eval=held_out[: config.max_eval_samples], notes=notes)


def _generated(config: "TrainConfig", want_train: bool) -> TaskData:
    if config.data is not None:
        raise UsageError(
            f"task {config.task!r} makes its own questions; got --data {config.data} too: "
            "choose --task jsonl or gsm8k, or leave --data out"
        )
    train: Iterator[Example]
    held_out: Iterator[Example]
    if config.task == "ledger":
        steps = config.ledger.steps
        train, held_out = stories(seed=config.seed, steps=steps, split="train"), stories(seed=0, steps=steps, split="eval")
        prompt_tokens, answer_tokens = 40 + 11 * steps, 16 + 11 * steps
    else:
        from cal_grpo.tasks.gsm_symbolic import problems

        train, held_out = problems(seed=config.seed, split="train"), problems(seed=0, split="eval")
        prompt_tokens, answer_tokens = _LENGTHS[config.task]
    return TaskData(
        list(itertools.islice(train, config.max_train_samples or _GENERATED)) if want_train else [],
        list(itertools.islice(held_out, config.max_eval_samples)),
        prompt_tokens,
        answer_tokens,
    )


def _from_data(config: "TrainConfig", want_train: bool, every: bool) -> TaskData:
    test: list[Example] | None
    if config.data is not None:
        examples, test = read_source(config.data, _fields(config))
    elif config.task == "jsonl":
        raise UsageError("task 'jsonl' got no data; expected --data FILE.jsonl")
    else:
        from cal_grpo.tasks.hub import read_hub

        examples, test = read_hub(config.task, _fields(config))
    source, notes = config.data or config.task, []
    keys = [key_of(example.question) for example in examples]
    if test is None:
        parts = [every or split_of(key) == "eval" for key in keys]
        train = [example for example, held in zip(examples, parts, strict=True) if not held]
        held_out = [example for example, held in zip(examples, parts, strict=True) if held]
        if want_train and not train:
            raise UsageError(f"data {source}: all {len(examples)} questions fall into the held-out eighth; add more")
        notes = _repeated(examples, keys, f"data {source}")
    else:
        taken, held_out = {key_of(example.question) for example in test}, test
        train = [example for example, key in zip(examples, keys, strict=True) if key not in taken]
        if want_train and not train:
            raise UsageError(f"{source}: all {len(examples)} training questions are held out too; expected others")
        if len(train) < len(examples):
            notes = [f"{len(examples) - len(train)} training questions of {source} are left out: they are held out too"]
    random.Random(f"subset/{config.seed}").shuffle(train)
    random.Random("held-out").shuffle(held_out)
    train, held_out = train[: config.max_train_samples] if want_train else [], held_out[: config.max_eval_samples]
    return TaskData(train, held_out, *_LENGTHS[config.task], notes=tuple(notes))


def _repeated(examples: Sequence[Example], keys: Sequence[str], source: str) -> list[str]:
    """A note on questions that occur more than once. They stay, on one side: how often is the data's own affair."""
    answers = defaultdict(list)
    for example, key in zip(examples, keys, strict=True):
        answers[key].append(example.answer)
    repeated = [said for said in answers.values() if len(said) > 1]
    if not repeated:
        return []
    differ = sum(len(set(said)) > 1 for said in repeated)
    apart = f", {differ} of them with answers that differ" if differ else ""
    return [f"{len(repeated)} questions of {source} occur more than once (white space, case and Unicode form aside){apart}"]


def _fields(config: "TrainConfig") -> Fields:
    """The config's columns where it names them, else the task's."""
    usual, own = _FIELDS.get(config.task, USUAL), config.fields
    return Fields(
        question=own.question or usual.question,
        answer=own.answer or usual.answer,
        reference=own.reference or usual.reference,
        worked=usual.worked and own.answer is None,
    )
