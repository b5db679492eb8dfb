"""What a wrong answer's credit sums to on real text: does a formula pay wrong answers for their length?

    python benchmarks/credit_mass.py ANSWERS.jsonl [--tokenizer FOLDER]

Each row has `question`, `reference_solution` and a wrong `response`. `reference` names the first error; each answer stands in a
group with as many right answers, so that A is that of a question half of whose answers are right, and in one without any.
For each formula: the mean of the sums of the wrong rows' advantages, their largest, and the share of rows that are paid on
balance. The tokenizer is the embedded policy's unless another is given. JSON on stdout.
"""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from cal_grpo.alignment import Aligner, TokenSpan
from cal_grpo.credit import Batch, Weights, assign_credit
from cal_grpo.jsonlines import read_jsonl_strictly
from cal_grpo.oracles import Query, ReferenceOracle, blamed
from cal_grpo.policies import EMBEDDED

FORMULAS = ("prefix", "even", "prefix_shortened", "balanced", "sparse", "grpo")


def spans_of(file: Path, aligner: Aligner, tokenizer: Tokenizer) -> tuple[list[TokenSpan], list[int], int]:
    """The blamed tokens and the length of each answer that has an error named, and how many answers there are."""
    spans, lengths, rows = [], [], 0
    for _, row in read_jsonl_strictly(file, "answers", "question, reference_solution and response"):
        rows += 1
        query = Query(row["question"], row["reference_solution"], row["response"])
        verdict = asyncio.run(ReferenceOracle().locate(query))
        decoded = aligner.decode(tokenizer.encode(query.response, add_special_tokens=False).ids)
        span = blamed(aligner, decoded, verdict) if verdict.segment else None
        if isinstance(span, TokenSpan):
            spans.append(span)
            lengths.append(len(decoded))
    return spans, lengths, rows


def mass(formula: str, spans: list[TokenSpan], lengths: list[int], right: bool) -> dict[str, Any]:
    """The sums of the wrong rows; ``right``: beside each stands a right answer of the same length."""
    sums = []
    for span, length in zip(spans, lengths, strict=True):
        rewards_B = np.array([float(right), 0.0], np.float32)
        others = None if right else span
        batch = Batch(rewards_B, rewards_B == 1, np.array([length, length]), [others, span], 2)
        sums.append(float(assign_credit(formula, batch, Weights(), [None, None])[1].sum(dtype=np.float64)))
    return {
        "mean": round(float(np.mean(sums)), 2),
        "largest": round(max(sums), 2),
        "paid": round(float(np.mean([s > 1e-3 for s in sums])), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--tokenizer", type=Path, default=EMBEDDED, help="folder with a tokenizer.json")
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    spans, lengths, rows = spans_of(args.answers, Aligner(tokenizer), tokenizer)
    found = {
        "rows": rows,
        "with_span": len(spans),
        "tokens": float(np.mean(lengths)),
        "before": float(np.mean([s.start for s in spans])),
    }
    for name, right in (("half_right", True), ("none_right", False)):
        found[name] = {formula: mass(formula, spans, lengths, right) for formula in FORMULAS}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
