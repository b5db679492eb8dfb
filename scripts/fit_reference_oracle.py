"""Fit the weights of the `reference` oracle, and say how good it is on rows that it was not fitted on.

    python scripts/fit_reference_oracle.py DATA.jsonl [--check] [--on even] [--figure docs/figures/reference-reliability.svg]

DATA.jsonl has question, reference_solution, response, step_spans, first_error_step and solution_key a row. The model is a
conditional logit: each step scores the weighted sum of its evidence, and the probability of being the first error is the
softmax of the scores over the steps of the response. Its penalised likelihood is maximised by Newton's method.

Fitted on the rows whose sha256(solution_key) is even, it is scored on the odd ones, and the other way round; both are
printed for several weights of a step's neighbours (the one in use is in `cal_grpo.oracles.free.reference`), with a table of
reliability, which --figure draws. The weights that are written to the package, rounded to two decimals, are fitted on all
rows, or with --on, on one half, for `cal-grpo oracle bench` on the other. Those of a reference of bare equations are left as
they are: the published study ran with them.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import cal_grpo.oracles.free
from cal_grpo.intervals import share
from cal_grpo.oracles.bench.labelled import Labelled, half_of, read_labelled
from cal_grpo.oracles.free.reference import NEIGHBOURS, likeliest, offsets
from cal_grpo.oracles.free.worked.evidence import NAMES, gather
from cal_grpo.oracles.steps import Step
from cal_grpo.seeing import Chart, Line, chart_svg

WEIGHTS = Path(cal_grpo.oracles.free.__file__).parent / "reference_weights.json"
PENALTY = 1.0
BINS = np.linspace(0.1, 1.0, 10)


def evidence(row: Labelled) -> tuple[np.ndarray, np.ndarray]:
    """(S, F) features of the row's steps, and (S,) what is added to their scores."""
    text = row.query.response
    steps = [Step(text[start:end], start, end) for start, end in row.spans]
    found = gather(row.query.question, row.query.reference, steps, text)
    return np.array([[e.features.get(name, 0.0) for name in NAMES] for e in found]), np.array(offsets(found))


def fit(features: list[tuple[np.ndarray, np.ndarray]], labels: list[int]) -> np.ndarray:
    weights = np.zeros(len(NAMES))
    for _ in range(20):
        gradient, hessian = -PENALTY * weights, PENALTY * np.eye(len(NAMES))
        for (x_SF, offset_S), label in zip(features, labels, strict=True):
            p_S = probabilities(x_SF, offset_S, weights)
            mean_F = p_S @ x_SF
            gradient += x_SF[label] - mean_F
            hessian += (x_SF * p_S[:, None]).T @ x_SF - np.outer(mean_F, mean_F)
        weights = weights + np.linalg.solve(hessian, gradient)
    return weights


def probabilities(x_SF: np.ndarray, offset_S: np.ndarray, weights: np.ndarray) -> np.ndarray:
    scores_S = x_SF @ weights + offset_S
    exp_S = np.exp(scores_S - scores_S.max())
    return exp_S / exp_S.sum()


def report(rows: list[Labelled], held_out: list[np.ndarray], neighbours: float) -> None:
    off, sure = judged(rows, held_out, neighbours)
    solutions = len({row.solution for row in rows})
    exact = share(float((off == 0).mean()) * solutions, solutions)
    half = sure.argsort()[::-1][: (len(off) + 1) // 2]
    print(f"  neighbours {neighbours:.1f}: exact {exact.value:.3f} [{exact.low:.3f}, {exact.high:.3f}], within one "
          f"{np.mean(abs(off) <= 1):.3f}, early {np.mean(off < 0):.3f}, late {np.mean(off > 0):.3f}, exact on the surer half "
          f"{np.mean(off[half] == 0):.3f} (confidence from {sure[half[-1]]:.2f})")  # fmt: skip


def judged(rows: list[Labelled], held_out: list[np.ndarray], neighbours: float) -> tuple[np.ndarray, np.ndarray]:
    """(steps after the label, confidence) of each row."""
    blamed = [likeliest(p_S.tolist(), neighbours) for p_S in held_out]
    off = np.array(blamed) - np.array([row.first_error for row in rows])
    return off, np.array([p_S[step] for p_S, step in zip(held_out, blamed, strict=True)])


def reliability(rows: list[Labelled], held_out: list[np.ndarray]) -> dict[str, list[float]]:
    """Rows by confidence: the middle of each tenth, the mean confidence in it, the share that is exact, its interval, rows."""
    off, sure = judged(rows, held_out, NEIGHBOURS)
    table: dict[str, list[float]] = {name: [] for name in ("middle", "said", "exact", "low", "high", "rows")}
    for number in np.unique(np.digitize(sure, BINS)):
        inside = np.digitize(sure, BINS) == number
        n = int(inside.sum())
        solutions = len({row.solution for row, there in zip(rows, inside, strict=True) if there})
        exact = share(float((off[inside] == 0).mean()) * solutions, solutions)
        values = (number / 10 + 0.05, sure[inside].mean(), exact.value, exact.low, exact.high, n)
        for name, value in zip(table, values, strict=True):
            table[name].append(float(value))
    return table


def draw(tables: dict[str, dict[str, list[float]]]) -> str:
    lines = []
    for colour, (name, table) in enumerate(tables.items(), 1):
        points = list(zip(table["middle"], table["exact"], strict=True))
        band = list(zip(table["low"], table["high"], strict=True))
        lines.append(Line(colour, points, label=name, band=band, dots=True))
    middles = sorted({middle for table in tables.values() for middle in table["middle"]})
    lines.append(Line(6, [(middle, middle) for middle in middles], dashed=True, label="as it says"))
    title, about = "How often the blamed step is the labelled one", "share; band: 95 % interval over solutions"
    return chart_svg(Chart("reliability", title, about, "share", lines, "confidence, by tenths", width=680, height=380))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--check", action="store_true", help="Only compare with the weights in the package.")
    parser.add_argument("--on", choices=("even", "odd"), help="Fit what is written on this half only.")
    parser.add_argument("--figure", type=Path, help="Draw the reliability of both halves, as SVG.")
    args = parser.parse_args()
    rows = read_labelled(args.data)
    features, labels = [evidence(row) for row in rows], [row.first_error for row in rows]
    tables = {}
    for scored in ("odd", "even"):
        other = [i for i, row in enumerate(rows) if half_of(row.solution) != scored]
        inside = [i for i, row in enumerate(rows) if half_of(row.solution) == scored]
        weights = fit([features[i] for i in other], [labels[i] for i in other])
        kept, held_out = [rows[i] for i in inside], [probabilities(*features[i], weights) for i in inside]
        print(f"{scored} half, fitted on the other: {len(inside)} rows")
        for neighbours in (0.0, 0.2, 0.3, 0.4, 0.5):
            report(kept, held_out, neighbours)
        table = tables[f"{scored} half"] = reliability(kept, held_out)
        for _, said, exact, low, high, n in zip(*table.values(), strict=True):
            print(f"    says {said:.2f}: exact {exact:.2f} [{low:.2f}, {high:.2f}], {n:.0f} rows")
    if args.figure:
        args.figure.write_text(draw(tables), encoding="utf-8")
    written: dict[str, Any] = json.loads(WEIGHTS.read_text())
    used = [i for i, row in enumerate(rows) if args.on in (None, half_of(row.solution))]
    fitted = fit([features[i] for i in used], [labels[i] for i in used])
    weights = {name: round(float(weight), 2) for name, weight in zip(NAMES, fitted, strict=True)}
    for name, weight in sorted(weights.items(), key=lambda pair: -pair[1]):
        print(f"  {name:16} {weight:+.2f}")
    if args.check:
        raise SystemExit(0 if weights == written["worded"] else "the weights in the package are others")
    WEIGHTS.write_text(json.dumps(written | {"worded": weights}, indent=2) + "\n")


if __name__ == "__main__":
    main()
