"""Is an answer with one sign, digit or letter changed ever graded right?

    python benchmarks/grading_edits.py [--gsm8k GSM8K_FOLDER] [--count 600]

Every gold answer of GSM8K, and answers as MATH has them, made up (`_answers.py`), are changed in each place. Each change makes
another answer, so that none may be graded right; the answer itself must be. With GSM8K_FOLDER, its model solutions are graded
too, against their labels. JSON on stdout: how many changes there were, and those graded right.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _answers import changes, math_answers

from cal_grpo.grading import grade_answer

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
DRESSES = (r"\boxed{%s}", "So\n#### %s", "The answer is $%s$.")


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def graded_right(answers: Sequence[str]) -> dict[str, Any]:
    """How many changes there are of some answers, and which are graded right."""
    rng, count, right, refused = random.Random(0), 0, [], []
    for answer in answers:
        refused += [
            dress % answer
            for dress in DRESSES[:: 2 if "\\" in answer else 1]
            if not grade_answer(dress % answer, answer).correct
        ]
        for number, changed in enumerate(dict.fromkeys(changes(answer, rng))):
            count += 1
            if grade_answer(DRESSES[number % 2 * 2 if "\\" in answer else number % 3] % changed, answer).correct:
                right.append([answer, changed])
    return {"answers": len(answers), "changes": count, "graded_right": right, "answers_graded_wrong": refused}


def gsm8k_answers(folder: Path) -> list[str]:
    solutions = [row["answer"] for name in ("train", "test") for row in rows(folder / f"{name}.jsonl")]
    return list(dict.fromkeys(solution.rpartition("####")[2].strip() for solution in solutions))


def against_labels(folder: Path) -> dict[str, Any]:
    judged = [
        (row[model]["is_correct"], grade_answer(row[model]["solution"], row["ground_truth"]).correct)
        for row in rows(folder / "example_model_solutions.jsonl")
        for model in MODELS
    ]
    return {"solutions": len(judged), "as_labelled": sum(label == correct for label, correct in judged)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gsm8k", type=Path)
    parser.add_argument("--count", type=int, default=600)
    options = parser.parse_args()
    report = {"math": graded_right(math_answers(options.count))}
    if options.gsm8k:
        report |= {"gsm8k": graded_right(gsm8k_answers(options.gsm8k)), "model_solutions": against_labels(options.gsm8k)}
    print(json.dumps(report, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
