"""A judge that is wrong as often as one likes."""

import random
from dataclasses import replace

from cal_grpo.oracles import Oracle, Query, Tag, Verdict, hint_for, split_steps


class Misjudging:
    """Another oracle's verdicts, a share of them moved to a uniformly drawn other step of the response.

    The draw depends on the seed and the query alone, so that a run can be repeated.
    """

    def __init__(self, oracle: Oracle, rate: float, seed: int) -> None:
        self.name = f"{oracle.name}, wrong {rate:g}"
        self._oracle, self._rate, self._seed = oracle, rate, seed

    async def locate(self, query: Query) -> Verdict:
        verdict = await self._oracle.locate(query)
        draw = random.Random(f"misjudge/{self._seed}/{query.question}/{query.response}")
        if verdict.tag is not Tag.FOUND or draw.random() >= self._rate:
            return verdict
        others = [step for step in split_steps(query.response) if step.text != verdict.segment]
        if not others:
            return verdict
        step = draw.choice(others)
        return replace(verdict, segment=step.text, hint=hint_for(query.response, step))
