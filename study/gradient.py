"""How good is one batch's gradient? The share of it that points where the expected reward rises.

At a fixed policy let g be the gradient that a formula's credit gives on one batch, and ∇J that of the expected reward. A step
along -g of the best length gains ``(E[g·∇J])² / E|g|²`` times a constant, to second order: the formula's *efficiency*. ∇J is
estimated on rollouts of its own, with leave-one-out advantages on whole answers, which is unbiased.
"""

import csv
import functools
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cal_grpo.credit import Weights
from cal_grpo.errors import UsageError
from cal_grpo.files import write_whole
from cal_grpo.oracles import CALOracle, ReferenceOracle
from study.simulator.learn import Tokens, by_question, token_logps, tokens_of
from study.simulator.qwen2 import Params, Shape
from study.world import World

_COLUMNS = ["credit", "batch", "square", "before", "share", "dots"]


@dataclass(frozen=True)
class Measurement:
    """One formula's gradients on the same n batches.

    Attributes:
        dots_NK: g·∇J of each batch, with each of K independent estimates of ∇J.
        squares_N: |g|².
        before_N: g·(sum of the formula's gradients on the batches before), from which |E g|² follows.
        shares_N: share of tokens with credit.
    """

    dots_NK: np.ndarray
    squares_N: np.ndarray
    before_N: np.ndarray
    shares_N: np.ndarray


def measure(
    world: World, formulas: Sequence[str], batches: int, estimates: int, per_estimate: int, batch_size: int, seed: int
) -> Iterator[tuple[int, dict[str, Measurement], np.ndarray]]:
    """The measurements so far, after each batch, and the (K, K) inner products of the estimates of ∇J.

    Args:
        world: its policy is the one that is measured.
        formulas: names of credit formulas; all see the same rollouts.
        batches: N, of ``batch_size`` questions each.
        estimates, per_estimate: K estimates of ∇J, each from so many batches of their own.
        seed: of questions, noise and draws. Batches and estimates have streams of their own.
    """
    gradients_KP = np.stack([_rise(world, per_estimate, batch_size, seed, k) for k in range(estimates)])
    kept: dict[str, list[tuple[Any, ...]]] = {name: [] for name in formulas}
    sums = np.zeros((len(formulas), gradients_KP.shape[1]))
    questions = world.training(seed, batch_size)
    with CALOracle(ReferenceOracle()) as oracle:
        for batch in range(batches):
            credits, tokens = _credits(world, formulas, next(questions), oracle, seed, batch)
            gradients_FP = _gradients(world, tokens, credits / max(int(tokens.mask_BT.sum()), 1))
            for row, name in enumerate(formulas):
                g_P = gradients_FP[row].astype(np.float64)
                share = float((credits[row] != 0).sum() / max(int(tokens.mask_BT.sum()), 1))
                kept[name].append((gradients_KP @ g_P, g_P @ g_P, g_P @ sums[row], share))
                sums[row] += g_P
            yield batch, {name: _stacked(rows) for name, rows in kept.items()}, gradients_KP @ gradients_KP.T


def _stacked(rows: list[tuple[Any, ...]]) -> Measurement:
    dots, squares, before, shares = zip(*rows, strict=True)
    return Measurement(np.stack(dots), np.array(squares), np.array(before), np.array(shares))


def _credits(
    world: World, formulas: Sequence[str], questions: Any, oracle: CALOracle | None, seed: int, batch: int
) -> tuple[np.ndarray, Tokens]:
    """advantages (F, B, T) of every formula on one batch of rollouts."""
    prompts, rollouts = world.roll_out(world.params, questions, seed, batch)
    completions, tokens = world.completions(questions, rollouts, world.group_size), tokens_of(prompts, rollouts)
    credits = []
    for name in formulas:
        pipeline = world.pipeline(name, oracle, Weights())
        credited = pipeline.redeem(pipeline.submit(completions, (seed, batch)))
        credits.append(np.asarray(tokens.fitted(credited.advantages_BT)))
    return np.stack(credits), tokens


def _rise(world: World, batches: int, batch_size: int, seed: int, number: int) -> np.ndarray:
    """float64 (P,): an unbiased estimate of ∇J."""
    total: np.ndarray | None = None
    own = seed + 1_000_003 * (number + 1)  # no seed of a batch's rollouts
    questions = world.training(own, batch_size)
    for batch in range(batches):
        credits, tokens = _credits(world, ["rloo"], next(questions), None, own, batch)
        gradient_P = _gradients(world, tokens, credits / (credits.shape[1] * batches))[0].astype(np.float64)
        total = gradient_P if total is None else total + gradient_P
    assert total is not None
    return total


def _gradients(world: World, tokens: Tokens, weights_FBT: np.ndarray) -> np.ndarray:
    """float32 (F, P): the gradient of each weighting's sum of weight × log-prob."""
    return np.asarray(_weighted(world.shape, world.params, tokens, jnp.asarray(weights_FBT, jnp.float32)))


@functools.partial(jax.jit, static_argnums=0)
def _weighted(shape: Shape, params: Params, tokens: Tokens, weights_FBT: jax.Array) -> jax.Array:
    def add(so_far: Any, question: tuple[Tokens, jax.Array]) -> tuple[Any, None]:
        one, weights_GFT = question
        _, back = jax.vjp(lambda p: jnp.where(one.mask_BT, token_logps(p, shape, one, 1.0)[0], 0), params)
        gradients = jax.lax.map(lambda weights_GT: back(weights_GT)[0], weights_GFT.swapaxes(0, 1))
        return jax.tree.map(jnp.add, so_far, gradients), None

    formulas = weights_FBT.shape[0]
    nothing = jax.tree.map(lambda array: jnp.zeros((formulas, *array.shape)), params)
    batch = by_question((tokens, weights_FBT.swapaxes(0, 1)), len(tokens.ids_QP))
    gradients, _ = jax.lax.scan(add, nothing, batch)
    return jnp.concatenate([leaf.reshape(formulas, -1) for leaf in jax.tree.leaves(gradients)], axis=1)


def save(file: Path, measured: Mapping[str, Measurement], gram_KK: np.ndarray) -> None:
    """One row a formula and batch; rows of the formula ``rise`` hold the inner products of the estimates of ∇J."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(["rise", k, "", "", "", _spaced(row)] for k, row in enumerate(gram_KK))
    for name, m in measured.items():
        for batch, (square, before, share) in enumerate(zip(m.squares_N, m.before_N, m.shares_N, strict=True)):
            writer.writerow([name, batch, f"{square:.6g}", f"{before:.6g}", f"{share:.4g}", _spaced(m.dots_NK[batch])])
    write_whole(file, text.getvalue())


def load(file: Path) -> tuple[dict[str, Measurement], np.ndarray]:
    """What ``save`` wrote.

    Raises:
        UsageError: the file is something else.
    """
    grouped: dict[str, list[tuple[Any, ...]]] = {}
    with file.open(newline="") as f:
        reader = csv.DictReader(f)
        if reader.fieldnames != _COLUMNS:
            raise UsageError(f"{file}: no gradient measurements; expected the columns {', '.join(_COLUMNS)}")
        for row in reader:
            numbers = [float(row[name] or "nan") for name in ("square", "before", "share")]
            grouped.setdefault(row["credit"], []).append((np.array(row["dots"].split(), float), *numbers))
    gram_KK = np.stack([row[0] for row in grouped.pop("rise")])
    return {name: _stacked(rows) for name, rows in grouped.items()}, gram_KK


def _spaced(numbers: np.ndarray) -> str:
    return " ".join(f"{number:.5g}" for number in numbers)
