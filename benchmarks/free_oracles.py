"""How often the free oracles accuse right solutions, whether they survive wrong ones, and what they cost.

    python benchmarks/free_oracles.py GSM8K_FOLDER [--labelled FIRST_ERROR.jsonl] [--ledger BATCHES]

GSM8K_FOLDER has `train.jsonl`, `test.jsonl` (references) and `example_model_solutions.jsonl` (right and wrong answers of
four models). Every right one is put before `arithmetic`, as written and without its `<<a*b=c>>` annotations; whatever it
blames is a false alarm. `reference` never sees a right answer in training; how many of them hold a step that it suspects says
how well it reads other ways to the answer. Cut off before its answer, at a drawn character, such an answer or a reference
has nothing wrong in it, and whatever `reference` blames is a false alarm. Every wrong one is put before both oracles; an
exception ends the run, and what their quotes map to is counted. Times are each row's best of five, because other work on the
machine disturbs them. With --ledger, `reference` is asked about the wrong ones of so many batches of 64 answers, sampled by
the embedded policy at temperature 1 as in a study's run, at 4, 8, 12 and 16 steps. JSON on stdout.
"""

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from cal_grpo.alignment import Aligner, TokenSpan
from cal_grpo.jsonlines import read_jsonl_strictly
from cal_grpo.oracles import Query, Tag
from cal_grpo.oracles.bench.bench_figures import percentile, rate
from cal_grpo.oracles.bench.labelled import read_labelled
from cal_grpo.oracles.free.arithmetic import ArithmeticOracle
from cal_grpo.oracles.free.reference import ReferenceOracle
from cal_grpo.oracles.free.worked.evidence import gather
from cal_grpo.oracles.free.worked.reference_graph import reference_graph
from cal_grpo.oracles.steps import split_steps
from cal_grpo.policies import EMBEDDED

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
ANNOTATION = re.compile(r"<<[^<>\n]*>>")
ORACLES = {"arithmetic": ArithmeticOracle(), "reference": ReferenceOracle()}


def rows(file: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_jsonl_strictly(file, "data", "GSM8K's fields")]


def answers(folder: Path, right: bool) -> Iterator[Query]:
    for row, test in zip(rows(folder / "example_model_solutions.jsonl"), rows(folder / "test.jsonl"), strict=True):
        for model in MODELS:
            if row[model]["is_correct"] == right:
                yield Query(test["question"], test["answer"], row[model]["solution"])


def alarms(solutions: Sequence[str]) -> dict[str, Any]:
    found = [solution for solution in solutions if ORACLES["arithmetic"].locate_now(Query("", "", solution)).tag is Tag.FOUND]
    return {"n": len(solutions), "alarms": len(found), "share": rate(len(found), len(solutions))}


def suspected(queries: Sequence[Query]) -> dict[str, Any]:
    count = sum(any(e.reason for e in gather(q.question, q.reference, split_steps(q.response), q.response)) for q in queries)
    return {"n": len(queries), "suspected": count, "share": rate(count, len(queries))}


def cut_off(queries: Sequence[Query]) -> dict[str, Any]:
    """Of answers that end at a drawn character before their marker, how many are blamed."""
    rng, blamed, asked = random.Random("cut off"), 0, 0
    for query in queries:
        text = query.response.split("####")[0].strip()
        if len(text) > 1:
            cut = Query(query.question, query.reference, text[: rng.randrange(1, len(text))])
            asked, blamed = asked + 1, blamed + (ORACLES["reference"].locate_now(cut).tag is Tag.FOUND)
    return {"n": asked, "blamed": blamed, "share": rate(blamed, asked)}


def on_ledger(batches: int) -> dict[str, Any]:
    from cal_grpo.study.world import World

    found: dict[str, Any] = {}
    for steps in (4, 8, 12, 16):
        world = World("embedded", steps, group_size=8, held_out=1)
        outcomes: Counter[str] = Counter()
        for step, questions in zip(range(1, batches + 1), world.training(0, 8), strict=False):
            _, rollouts = world.roll_out(world.params, questions, 0, step)
            for completion in world.completions(questions, rollouts, 8):
                if not completion.grade.correct:
                    text = world.aligner.decode(completion.token_ids).text
                    verdict = ORACLES["reference"].locate_now(Query(completion.question, completion.reference, text))
                    outcomes[str(verdict.tag)] += 1
        found[f"{steps} steps"] = {"answers": 64 * batches, "wrong": outcomes.total()} | dict(outcomes)
    return found


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
    """Milliseconds a row, each row's best of five; ``first``: on a question that was not seen before."""
    first, again = [], []
    for query in queries:
        times = []
        for i in range(10):
            if i < 5:
                reference_graph.cache_clear()
            began = time.perf_counter()
            ask(query)
            times.append(1e3 * (time.perf_counter() - began))
        first.append(min(times[:5]))
        again.append(min(times[5:]))
    shares = {"first": first, "again": again}
    return {f"{name}_p{p}_ms": round(percentile(of, p / 100), 3) for name, of in shares.items() for p in (50, 95)}


def plain(text: str) -> str:
    return ANNOTATION.sub("", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gsm8k", type=Path)
    parser.add_argument("--labelled", type=Path)
    parser.add_argument("--ledger", type=int, metavar="BATCHES")
    args = parser.parse_args()
    right, wrong = list(answers(args.gsm8k, True)), list(answers(args.gsm8k, False))
    solved = [row for name in ("train.jsonl", "test.jsonl") for row in rows(args.gsm8k / name)]
    references = [row["answer"] for row in solved]
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
        "reference_on_cut_off": {
            "references": cut_off([Query(row["question"], row["answer"], row["answer"]) for row in solved]),
            "references_without_annotations": cut_off(
                [Query(row["question"], row["answer"], plain(row["answer"])) for row in solved]
            ),
            "models": cut_off(right),
            "models_without_annotations": cut_off(unannotated),
        },
        "on_wrong": {name: on_wrong(wrong, oracle.locate_now, aligner, tokenizer) for name, oracle in ORACLES.items()},
    }
    if args.labelled is not None:
        queries = [row.query for row in read_labelled(args.labelled)]
        result["cost"] = {name: cost(queries, oracle.locate_now) for name, oracle in ORACLES.items()}
    if args.ledger:
        result["reference_on_ledger"] = on_ledger(args.ledger)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
