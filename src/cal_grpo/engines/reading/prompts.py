"""From a task's questions to batches of prompts that the policy can be asked."""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from cal_grpo.engines.reading.chat import prompt_ids, render
from cal_grpo.errors import UsageError
from cal_grpo.tasks import Example, TaskData, messages_for

T = TypeVar("T")


def prompts_of(task: TaskData, tokenizer: Any, arguments: Mapping[str, Any]) -> Callable[[Example], str]:
    """How a task's questions are shown to the policy; ``arguments`` go to its chat template."""
    return lambda example: render(messages_for(example, task.system, task.answer_format), tokenizer, arguments)


def fitting(
    examples: Sequence[Example],
    tokenizer: Any,
    max_prompt_tokens: int,
    part: str,
    prompt_of: Callable[[Example], str] | None = None,
) -> tuple[list[tuple[str, Example]], int]:
    """(prompt, example) of every question whose prompt fits, and how many were skipped.

    A prompt over the limit is skipped whole: cutting it would cut inside the chat template.

    Args:
        examples: the questions.
        tokenizer: the policy's.
        max_prompt_tokens: the limit.
        part: what they are for, for the message.
        prompt_of: how a question is shown; see ``prompts_of``. By default, alone in the chat template.

    Raises:
        UsageError: none fits.
    """
    kept = []
    for example in examples:
        prompt = render(example.question, tokenizer) if prompt_of is None else prompt_of(example)
        if len(prompt_ids(prompt, tokenizer)) <= max_prompt_tokens:
            kept.append((prompt, example))
    if not kept and examples:
        raise UsageError(
            f"all {len(examples)} {part} prompts are longer than rollout.max_prompt_tokens={max_prompt_tokens}; raise it"
        )
    return kept, len(examples) - len(kept)


def passes(items: Sequence[T], seed: int) -> Iterator[T]:
    """The items without end, shuffled anew for each pass. The order of pass ``p`` depends on ``(seed, p)`` alone."""
    for epoch in itertools.count():
        order = list(items)
        random.Random(f"data/{seed}/{epoch}").shuffle(order)
        yield from order


def batches(pairs: Sequence[tuple[str, Example]], batch_size: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Endless batches with Tunix's columns, in the order of ``passes``. The column ``example`` holds the objects themselves,
    for graders and rewards that need more than text."""
    shuffled = passes(pairs, seed)
    while True:
        batch = list(itertools.islice(shuffled, batch_size))
        yield {
            "prompts": np.array([prompt for prompt, _ in batch]),
            "question": np.array([example.question for _, example in batch]),
            "answer": np.array([example.answer for _, example in batch]),
            "reference": np.array([example.reference for _, example in batch]),
            "example": np.fromiter((example for _, example in batch), dtype=object, count=len(batch)),
        }
