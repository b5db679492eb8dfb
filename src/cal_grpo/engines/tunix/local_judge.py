"""A checkpoint folder as the judge: any model that this engine loads, the policy's own checkpoint included, no server."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tunix.generate.sampler import CacheConfig, Sampler

from cal_grpo.engines.tunix.models import UserText, load_policy, make_mesh
from cal_grpo.oracles import Query, Tag, Usage, Verdict
from cal_grpo.oracles.judges import (
    DIRECT,
    FewShot,
    PromptStyle,
    cut_off,
    identity,
    query_prompt,
    read_answer,
    required_model,
    static_prompt,
)
from cal_grpo.policies import resolve_model

_LONGEST = 768  # tokens of an answer
_SHORTEST = 128  # tokens: prompts are padded to powers of two from here on, so that few shapes are compiled


class LocalJudge:
    """An oracle whose model runs here, on Tunix's model and sampler. Questions that wait together are asked together.

    Args:
        model: Hugging Face folder, ``embedded``, or a hub id.
        few_shot: worked examples for the prompt.
        style: how the error is asked for.
        temperature: of sampling; 0 is greedy.
        batch_size: questions in one generation at most.
        max_prompt_tokens: a longer question is rejected.
        max_answer_tokens: what is longer is cut and therefore malformed; None: 768.
        ask_again: how often a quote that is not in the response is asked for once more, see ``locate_again``.

    No text of a question or response is read as a special token of the model's.

    Raises:
        UsageError: no model, or one that cannot be loaded.
    """

    name = "local"
    metered = True
    price = 0  # nothing to pay
    SETTINGS = ("few_shot", "style", "temperature", "max_answer_tokens", "ask_again")  # those of a CALOracle that it takes

    def __init__(
        self,
        model: str | None,
        few_shot: Sequence[FewShot] = (),
        style: PromptStyle = DIRECT,
        temperature: float = 0.0,
        batch_size: int = 8,
        max_prompt_tokens: int = 4096,
        max_answer_tokens: int | None = None,
        ask_again: int = 0,
    ) -> None:
        self.model = required_model(self.name, model)
        self._mesh = make_mesh()
        folder = Path(resolve_model(self.model))
        self._policy = load_policy(folder, self._mesh)
        self._static, self._style, self._temperature = static_prompt(few_shot, style), style, temperature
        self.corrects = style.corrects
        # Nothing makes a model here write JSON, so the answer is begun for it.
        self._opening = f'{{"{style.fields[0]}": "'
        self._text = UserText(self._policy.tokenizer, self._opening)
        self.ask_again = ask_again
        self._batch_size, self._max_prompt, self._max_new = batch_size, max_prompt_tokens, max_answer_tokens or _LONGEST
        sampling = {"temperature": temperature, "max_tokens": self._max_new}
        self.identity = identity(self.name, self.model, self._static, sampling, style, ask_again)
        self.identity |= {"weights": _fingerprint(folder)}
        self._samplers: dict[int, Sampler] = {}
        self._waiting: list[tuple[str, asyncio.Future[tuple[str, int]]]] = []
        self._worker: asyncio.Task[None] | None = None
        self._generations = 0

    async def locate(self, query: Query) -> Verdict:
        return await self._ask(query, None)

    async def locate_again(self, query: Query, before: Verdict) -> Verdict:
        """Ask once more, with the reason why the quote of the verdict before was of no use."""
        return await self._ask(query, before)

    async def _ask(self, query: Query, before: Verdict | None) -> Verdict:
        prompt = self._text.render(f"{self._static}\n\n{query_prompt(query, self._style, before)}")
        prompt_tokens = len(self._text.encode(prompt))
        if prompt_tokens > self._max_prompt:
            detail = f"the question has {prompt_tokens} tokens; at most {self._max_prompt} are read"
            return Verdict(Tag.REJECTED, usage=Usage(calls=1), detail=detail)
        began = time.monotonic()
        answer: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((prompt, answer))
        if self._worker is None:
            self._worker = asyncio.ensure_future(self._work())
        text, completion_tokens = await answer
        usage = Usage(1, prompt_tokens, completion_tokens, 0.0, time.monotonic() - began)
        cut = cut_off(completion_tokens, self._max_new) if completion_tokens >= self._max_new else ""
        return await asyncio.to_thread(read_answer, self._opening + text, usage, query, self._style, cut)

    async def _work(self) -> None:
        """Answer whatever waits, batch after batch."""
        batch: list[tuple[str, asyncio.Future[tuple[str, int]]]] = []
        try:
            await asyncio.sleep(0)  # whoever asks at the same time shares the first batch
            while self._waiting:
                waiting = [one for one in self._waiting if not one[1].done()]  # some have waited too long
                batch, self._waiting = waiting[: self._batch_size], waiting[self._batch_size :]
                if not batch:
                    break
                answers = await asyncio.to_thread(self._generate, [prompt for prompt, _ in batch])
                for (_, future), answer in zip(batch, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
        except BaseException as e:
            for _, future in [*batch, *self._waiting]:
                if not future.done():
                    future.cancel() if isinstance(e, asyncio.CancelledError) else future.set_exception(e)
            self._waiting = []
            if isinstance(e, asyncio.CancelledError):
                raise
        finally:
            self._worker = None

    def _generate(self, prompts: Sequence[str]) -> list[tuple[str, int]]:
        """(text, tokens) of each answer. Batches are filled up with repeats, so that few shapes are compiled."""
        size = 1 << (len(prompts) - 1).bit_length()
        filled = [*prompts, *([prompts[-1]] * (size - len(prompts)))]
        longest = max(len(self._text.encode(prompt)) for prompt in prompts)
        width = max(_SHORTEST, 1 << (longest - 1).bit_length())
        self._generations += 1
        seed = hashlib.sha256(f"judge/{self._generations}/{prompts[0]}".encode("utf-8", "replace")).digest()
        with self._mesh:
            output = self._sampler(width)(
                filled,
                max_generation_steps=self._max_new,
                max_prompt_length=width,
                temperature=self._temperature,
                # None is how Tunix's sampler is told to be greedy (tunix 0.1.7, generate/sampler.py, init_sample_state)
                top_p=1.0 if self._temperature else None,
                seed=int.from_bytes(seed[:4], "big") >> 1,
                eos_tokens=list(self._policy.eos_ids),
            )
        return [(text, len(tokens)) for text, tokens in zip(output.text, output.tokens, strict=True)][: len(prompts)]

    def _sampler(self, width: int) -> Sampler:
        if width not in self._samplers:
            config = self._policy.model.config
            cache = CacheConfig(width + self._max_new, config.num_layers, config.num_kv_heads, config.head_dim)
            self._samplers[width] = Sampler(self._policy.model, self._policy.tokenizer, cache)
            # By itself it reads special tokens wherever they are spelt (tunix 0.1.7, generate/sampler.py, Sampler.tokenize)
            self._samplers[width].tokenize = lambda prompt: np.array(self._text.encode(prompt), dtype=np.int32)
        return self._samplers[width]

    async def aclose(self) -> None:
        """Stop generating after the batch at hand."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)


def _fingerprint(folder: Path) -> str:
    """Tells one checkpoint from the next in the same folder, without reading gigabytes."""
    files = sorted(folder.glob("*.safetensors"))
    told = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
