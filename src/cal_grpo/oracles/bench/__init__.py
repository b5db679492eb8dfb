"""How good is an oracle, beside the labels of people?"""

from cal_grpo.oracles.bench.asking import judge, tokenizer_of
from cal_grpo.oracles.bench.labelled import Labelled, read_labelled
from cal_grpo.oracles.bench.scores import PlacedVerdict, report

__all__ = [
    "Labelled",
    "PlacedVerdict",
    "judge",
    "read_labelled",
    "report",
    "tokenizer_of",
]
