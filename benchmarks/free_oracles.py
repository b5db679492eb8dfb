"""How often the free oracles accuse right solutions, whether they survive wrong ones, and what they cost.

    python benchmarks/free_oracles.py GSM8K_FOLDER [--labelled FIRST_ERROR.jsonl]

GSM8K_FOLDER has `train.jsonl`, `test.jsonl` (references) and `example_model_solutions.jsonl` (right and wrong answers of
four models). Every right one is put before `arithmetic`, as written and without its `<<a*b=c>>` annotations; whatever it
blames is a false alarm. `reference` never sees a right answer in training; how many of them hold a step that it suspects says
how well it reads other ways to the answer. Every wrong one is put before both oracles; an exception ends the run, and what
their quotes map to is counted. CPU seconds a row are the process's own; `loop_s` is a fixed loop for comparison, since other
work on the machine slows both. JSON on stdout.
"""

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from cal_grpo.alignment import Aligner, TokenSpan
from cal_grpo.oracles import Query, Tag
from cal_grpo.oracles.arithmetic import ArithmeticOracle
from cal_grpo.oracles.labelled import read_labelled
from cal_grpo.oracles.rates import wilson
from cal_grpo.oracles.reference import ReferenceOracle
from cal_grpo.oracles.steps import split_steps
from cal_grpo.oracles.worked.evidence import gather
from cal_grpo.policies import EMBEDDED

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
ANNOTATION = re.compile(r"<<[^<>\n]*>>")
ORACLES = {"arithmetic": ArithmeticOracle(), "reference": ReferenceOracle()}


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def answers(folder: Path, right: bool) -> Iterator[Query]:
    for row, test in zip(rows(folder / "example_model_solutions.jsonl"), rows(folder / "test.jsonl"), strict=True):
        for model in MODELS:
            if row[model]["is_correct"] == right:
                yield Query(test["question"], test["answer"], row[model]["solution"])


def alarms(solutions: Sequence[str]) -> dict[str, Any]:
    found = [solution for solution in solutions if ORACLES["arithmetic"].locate_now(Query("", "", solution)).tag is Tag.FOUND]
    return {"n": len(solutions), "alarms": len(found), "share": wilson(len(found), len(solutions)).as_dict()}


def suspected(queries: Sequence[Query]) -> dict[str, Any]:
    count = sum(
        any(e.reason for e in gather(q.question, q.reference, split_steps(q.response), q.response)) for q in queries
    )
    return {"n": len(queries), "suspected": count, "share": wilson(count, len(queries)).as_dict()}


def on_wrong(queries: Sequence[Query], ask: Callable[[Query], Any], aligner: Aligner, tokenizer: Tokenizer) -> dict[str, int]:
    outcomes: Counter[str] = Counter()
    for query in queries:
        verdict = ask(query)
        if verdict.segment:
            ids = tokenizer.encode(query.response, add_special_tokens=False).ids
            mapped = aligner.map(ids, verdict.segment, hint=verdict.hint)
            outcomes["mapped" if isinstance(mapped, TokenSpan) else f"quote_{mapped.reason}"] += 1
        else:
            outcomes[str(verdict.tag)] += 1
    return {"n": len(queries), "exceptions": 0} | dict(outcomes)


def cost(queries: Sequence[Query], ask: Callable[[Query], Any]) -> dict[str, float]:
    began = time.process_time()
    sum(range(10_000_000))
    loop_s = time.process_time() - began
    began = time.process_time()
    for query in queries:
        ask(query)
    row_s = (time.process_time() - began) / len(queries)
    return {"cpu_ms_a_row": round(row_s * 1e3, 3), "loop_s": round(loop_s, 3), "rows_a_loop": round(loop_s / row_s, 1)}


def plain(text: str) -> str:
    return ANNOTATION.sub("", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gsm8k", type=Path)
    parser.add_argument("--labelled", type=Path)
    args = parser.parse_args()
    right, wrong = list(answers(args.gsm8k, True)), list(answers(args.gsm8k, False))
    references = [row["answer"] for name in ("train.jsonl", "test.jsonl") for row in rows(args.gsm8k / name)]
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    aligner = Aligner(tokenizer)
    print(f"{len(references)} references, {len(right)} right and {len(wrong)} wrong answers ...", file=sys.stderr)
    unannotated = [Query(q.question, q.reference, plain(q.response)) for q in right]
    result: dict[str, Any] = {
        "arithmetic_on_right": {
            "references": alarms(references),
            "references_without_annotations": alarms([plain(text) for text in references]),
            "models": alarms([q.response for q in right]),
            "models_without_annotations": alarms([q.response for q in unannotated]),
        },
        "reference_on_right": suspected(unannotated),
        "on_wrong": {name: on_wrong(wrong, oracle.locate_now, aligner, tokenizer) for name, oracle in ORACLES.items()},
        "cost": {name: cost(wrong, oracle.locate_now) for name, oracle in ORACLES.items()},
    }
    if args.labelled is not None:
        queries = [row.query for row in read_labelled(args.labelled)]
        result["cost_labelled"] = {name: cost(queries, oracle.locate_now) for name, oracle in ORACLES.items()}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
