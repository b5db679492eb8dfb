"""Where a policy starts (the embedded one by default): greedy accuracy, and how many wrong answers are well-formed.

    python benchmarks/policy_start.py [--questions 256] [--model FOLDER]

Well-formed means at least one step a line before the last, an equation in each, and a readable number behind `####`.
Intervals are Wilson's at 95 %.
"""

import argparse
import json
import re

from cal_grpo.config import load_config
from cal_grpo.engines import engine_of
from cal_grpo.intervals import share
from cal_grpo.tasks import load_task

CASES = {
    "ledger, 4 steps": {"task": "ledger", "ledger.steps": 4},
    "ledger, 8 steps": {"task": "ledger", "ledger.steps": 8},
    "ledger, 12 steps": {"task": "ledger", "ledger.steps": 12},
    "gsm_symbolic": {"task": "gsm_symbolic"},
}
_FINAL = re.compile(r"#### -?\d[\d,]*(\.\d+)?")


def well_formed(response: str) -> bool:
    *steps, final = response.strip().split("\n")
    return bool(steps) and all("=" in step for step in steps) and _FINAL.fullmatch(final.strip()) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=256)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    args = parser.parse_args()
    table = {}
    common = {"use_cal": False, "max_eval_samples": args.questions, "model_id": args.model}
    for name in args.cases:
        config = load_config(overrides=CASES[name] | common)
        task = load_task(config, train=False)
        engine = engine_of(config.engine).open(config.fitted(task.prompt_tokens, task.answer_tokens), task, None)
        greedy = [answered.greedy for batch in engine.answers(0, lambda _: None) for answered in batch]
        rows = [(text, grade.correct) for text, grade in greedy]
        engine.close()
        wrong = [text for text, correct in rows if not correct]
        table[name] = {
            "n": len(rows),
            "accuracy": share(len(rows) - len(wrong), len(rows))._asdict(),
            "wrong_well_formed": share(sum(map(well_formed, wrong)), len(wrong))._asdict() if wrong else None,
        }
    print(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
