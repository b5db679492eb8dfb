"""How good is an oracle, beside the labels of people?"""

from cal_grpo.oracles.bench.bench_figures import BenchResult, bench_figures
from cal_grpo.oracles.bench.bench_file import BenchFile
from cal_grpo.oracles.bench.labelled import Labelled, read_labelled
from cal_grpo.oracles.bench.paired import differences
from cal_grpo.oracles.bench.policy_tokenizer import tokenizer_of
from cal_grpo.oracles.bench.run_bench import run_bench

__all__ = [
    "BenchFile",
    "BenchResult",
    "Labelled",
    "bench_figures",
    "differences",
    "read_labelled",
    "run_bench",
    "tokenizer_of",
]
