"""Fit the weights of the `reference` oracle.

    python scripts/fit_reference_oracle.py DATA.jsonl

DATA.jsonl has question, reference_solution, response, step_spans, first_error_step and solution_key a row. Only the rows
whose sha256(solution_key) is even are used; the odd half is for `cal-grpo oracle bench --half odd`. The model is a
conditional logit: each step scores the weighted sum of its evidence, and the probability of being the first error is the
softmax of the scores over the steps of the response. Its penalised likelihood is maximised by Newton's method. Ten-fold
cross-validation, by solution, is printed for several weights of a step's neighbours (the one in use is in
`cal_grpo.oracles.free.reference`); the weights are written to the package, rounded to two decimals.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

import cal_grpo.oracles.free
from cal_grpo.jsonlines import read_jsonl_strictly
from cal_grpo.oracles.free.reference import likeliest
from cal_grpo.oracles.free.worked.evidence import NAMES, gather
from cal_grpo.oracles.steps import Step

WEIGHTS = Path(cal_grpo.oracles.free.__file__).parent / "reference_weights.json"
PENALTY = 1.0
FOLDS = 10


def digest(key: str) -> int:
    return int(hashlib.sha256(key.encode()).hexdigest(), 16)


def evidence(row: dict) -> np.ndarray:
    """(S, F) features of the row's steps."""
    steps = [Step(row["response"][start:end], start, end) for start, end in row["step_spans"]]
    found = gather(row["question"], row["reference_solution"], steps, row["response"])
    return np.array([[e.features.get(name, 0.0) for name in NAMES] for e in found])


def fit(features: list[np.ndarray], labels: list[int]) -> np.ndarray:
    weights = np.zeros(len(NAMES))
    for _ in range(20):
        gradient, hessian = -PENALTY * weights, PENALTY * np.eye(len(NAMES))
        for x_SF, label in zip(features, labels, strict=True):
            p_S = probabilities(x_SF, weights)
            mean_F = p_S @ x_SF
            gradient += x_SF[label] - mean_F
            hessian += (x_SF * p_S[:, None]).T @ x_SF - np.outer(mean_F, mean_F)
        weights = weights + np.linalg.solve(hessian, gradient)
    return weights


def probabilities(x_SF: np.ndarray, weights: np.ndarray) -> np.ndarray:
    scores_S = x_SF @ weights
    exp_S = np.exp(scores_S - scores_S.max())
    return exp_S / exp_S.sum()


def report(held_out: list[np.ndarray], labels: list[int], neighbours: float) -> None:
    blamed = [likeliest(p_S.tolist(), neighbours) for p_S in held_out]
    off = np.array(blamed) - np.array(labels)
    sure = np.array([p_S[step] for p_S, step in zip(held_out, blamed, strict=True)])
    half = sure.argsort()[::-1][: len(off) // 2]
    print(f"  neighbours {neighbours:.2f}: exact {np.mean(off == 0):.3f}, within one {np.mean(abs(off) <= 1):.3f}, "
          f"exact on the surer half {np.mean(off[half] == 0):.3f} (confidence from {sure[half[-1]]:.2f})")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--check", action="store_true", help="Only compare with the weights in the package.")
    args = parser.parse_args()
    rows = [row for _, row in read_jsonl_strictly(args.data, "data", "labelled solutions")]
    rows = [row for row in rows if digest(row["solution_key"]) % 2 == 0]
    features, labels = [evidence(row) for row in rows], [row["first_error_step"] for row in rows]
    folds = [digest("fold/" + row["solution_key"]) % FOLDS for row in rows]
    held_out: list[np.ndarray] = [np.empty(0)] * len(rows)
    for fold in range(FOLDS):
        inside = [i for i, f in enumerate(folds) if f != fold]
        weights = fit([features[i] for i in inside], [labels[i] for i in inside])
        for i in (i for i, f in enumerate(folds) if f == fold):
            held_out[i] = probabilities(features[i], weights)
    print(f"{len(rows)} rows, cross-validated")
    for neighbours in (0.0, 0.3, 0.4, 0.45, 0.5, 0.6, 0.8):
        report(held_out, labels, neighbours)
    weights = {name: round(float(weight), 2) for name, weight in zip(NAMES, fit(features, labels), strict=True)}
    for name, weight in sorted(weights.items(), key=lambda pair: -pair[1]):
        print(f"  {name:16} {weight:+.2f}")
    if args.check:
        same = weights == json.loads(WEIGHTS.read_text())
        raise SystemExit(0 if same else "the weights in the package are others")
    WEIGHTS.write_text(json.dumps(weights, indent=2) + "\n")


if __name__ == "__main__":
    main()
