"""Answers of a policy to held-out questions, greedy and sampled, through transformers' ``generate``. No oracle is asked."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from cal_grpo.config import TrainConfig
from cal_grpo.engines.trl.processes import gathered


class Generator:
    """Asks a policy, on all processes of a job: each answers its share of the prompts.

    Args:
        tokenizer: the policy's.
        config: lengths, temperature and top_p.
        ends: ids that end an answer.
        process, processes: this one, and how many there are.
    """

    def __init__(self, tokenizer: Any, config: TrainConfig, ends: Sequence[int], process: int, processes: int) -> None:
        self._tokenizer, self._ends = tokenizer, list(ends)
        self._process, self._processes = process, processes
        self._temperature, self._top_p = config.rollout.temperature, config.rollout.top_p
        self._new_tokens = config.rollout.max_new_tokens

    def __call__(self, model: Any, prompts: Sequence[Sequence[int]], noise: str | None) -> list[tuple[str, bool]]:
        """An answer to each prompt, and whether it was cut off, on every process.

        Args:
            model: transformers', on its device.
            prompts: token ids.
            noise: names the draws of sampled answers; None answers greedily.
        """
        share = list(self._share(len(prompts)))
        # One that has no share answers the first prompt, unheard: a sharded model is run by all processes or none.
        answers = self._answers(model, [prompts[i] for i in share or [0]], noise)
        return gathered(answers[: len(share)])

    def _share(self, prompts: int) -> range:
        each = -(-prompts // self._processes)
        return range(min(self._process * each, prompts), min((self._process + 1) * each, prompts))

    def _answers(self, model: Any, prompts: Sequence[Sequence[int]], noise: str | None) -> list[tuple[str, bool]]:
        pad, device = self._tokenizer.pad_token_id, next(model.parameters()).device
        width = max(map(len, prompts))
        ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
        drawn = {"temperature": self._temperature, "top_p": self._top_p, "top_k": 0}
        settings = GenerationConfig(
            max_new_tokens=self._new_tokens, do_sample=noise is not None, pad_token_id=pad, eos_token_id=self._ends,
            disable_compile=True, **(drawn if noise is not None else {}),
        )  # fmt: skip
        training = model.training
        with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
            if noise is not None:
                torch.manual_seed(random.Random(f"{noise}/{self._process}").getrandbits(63))
            model.eval()
            try:
                rows = model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
            finally:
                model.train(training)
        return [self._read(row) for row in rows[:, width:].tolist()]

    def _read(self, ids: list[int]) -> tuple[str, bool]:
        """What stands before the token that ends the answer, and whether there is none."""
        end = next((i for i, token in enumerate(ids) if token in self._ends), None)
        return self._tokenizer.decode(ids[:end], skip_special_tokens=True), end is None


def chunks(count: int, size: int) -> Iterator[range]:
    """``range(count)`` in pieces."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))
