"""The memory of an update on the engine tunix: with Tunix's logits of all tokens, and with ours by chunks. JSON.

    python benchmarks/loss_memory.py [--model small] [--answers 8] [--tokens 512]    # what XLA lays out, nothing is run
    python benchmarks/loss_memory.py --run [--model small] ...                       # the largest resident memory of a run

Models are of random weights in the shape of the one that is named, which is all that memory depends on; ``--layers`` makes
one of fewer layers. Answers of random weights seldom end, so that they are as long as they may be.

Without ``--run``, an update's gradient of the policy loss with Adam (``beta`` 0 and above, and with corrections) and the
reference's pass are compiled, and ``temporary_gb`` is what XLA sets aside beside parameters, inputs and results.

With ``--run``, a process each makes one update of one question as ``cal-grpo train`` does: answers are sampled, judged and
learned from, with Adam, the reference policy and no checkpoint. ``peak_gb`` is the process's largest resident memory, and
on a GPU ``device_gb`` the largest that JAX has given out there.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TQDM_DISABLE", "1")

import jax
import jax.numpy as jnp
from _toy import write_folder
from flax import nnx
from tunix.rl import algo_core
from tunix.rl.grpo.grpo_learner import TrainExample

from cal_grpo.config import LoraSection, TrainConfig, load_config
from cal_grpo.credit import formula
from cal_grpo.engines.reading import batches, fitting
from cal_grpo.engines.tunix import CALGRPOLearner
from cal_grpo.engines.tunix.engine import algorithm
from cal_grpo.engines.tunix.models import load_policy, make_mesh, with_lora
from cal_grpo.engines.tunix.training import adam, build_cluster, logps
from cal_grpo.engines.tunix.training.corrections import corrected, with_corrections
from cal_grpo.oracles import CALOracle
from cal_grpo.tasks import load_task

GB = 1e9
SHAPES: dict[str, dict[str, Any]] = {
    "small": {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 49152, "intermediate_size": 128, "head_dim": 16},
    "SmolLM2-135M": {
        "model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "vocab_size": 49152, "intermediate_size": 1536,
        "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64,
    },
    "Qwen2.5-0.5B": {
        "hidden_size": 896, "num_hidden_layers": 24, "vocab_size": 151936, "intermediate_size": 4864,
        "num_attention_heads": 14, "num_key_value_heads": 2, "head_dim": 64,
    },
}  # fmt: skip
CASES = ("loss, beta=0", "loss, beta>0", "loss with corrections", "log-probs of the reference")
# Bytes of logits from which on they are made by chunks; whether a row's layers are forgotten before the next row's, as on CPUs.
ARMS = {"tunix": (2**62, False), "chunks": (logps.LIMIT, False), "rows": (logps.LIMIT, True)}


def take(arm: str) -> None:
    """What is compiled from now on is that arm's."""
    logps.LIMIT, by_rows = ARMS[arm]
    logps._by_rows = lambda: by_rows


def folder_of(args: argparse.Namespace, where: Path) -> Path:
    layers = {} if args.layers is None else {"num_hidden_layers": args.layers}
    return write_folder(where / args.model, **SHAPES[args.model] | layers)


def policy_of(args: argparse.Namespace, folder: Path) -> Any:
    policy = load_policy(folder, make_mesh(), remat=args.remat)
    return with_lora(policy, LoraSection(rank=args.lora), 0, make_mesh()) if args.lora else policy


def compiled(args: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """Each case by arm: temporary memory, and with ``--seconds`` the processor time of the second run."""
    model = policy_of(args, folder).model
    kind = nnx.LoRAParam if args.lora else nnx.Param
    optimizer = nnx.Optimizer(model, adam(TrainConfig()), wrt=kind)
    (graph, state), (optimizer_graph, optimizer_state) = nnx.split(model), nnx.split(optimizer)
    ids_BP, ids_BT = jnp.ones((args.answers, args.prompt), int), jnp.ones((args.answers, args.tokens), int)
    number_BT = jnp.ones((args.answers, args.tokens))
    example = TrainExample(ids_BP, None, ids_BT, ids_BT, number_BT, number_BT, None)

    def update(loss_fn: Any, beta: float) -> Any:
        config = algorithm(TrainConfig(beta=beta), formula("prefix"))
        setattr(config, "temperature", 1.0)  # noqa: B010 - as Tunix's learner does

        def of(state: Any, optimizer_state: Any, example: Any) -> Any:
            model, optimizer = nnx.merge(graph, state), nnx.merge(optimizer_graph, optimizer_state)
            value, gradient = nnx.value_and_grad(loss_fn, argnums=nnx.DiffState(0, kind), has_aux=True)(model, example, config)
            optimizer.update(model, gradient)
            return value, nnx.state(model), nnx.state(optimizer)

        return of

    def policy_loss(model: Any, example: Any, config: Any) -> Any:
        return logps.in_chunks(algo_core.grpo_loss_fn)(model, example, algo_config=config, pad_id=0, eos_id=2)

    def reference(state: Any, _: Any, example: Any) -> Any:
        return logps.per_token_logps(graph, state, example.prompt_ids, example.completion_ids, 0, 2)

    cases = {
        "loss, beta=0": (update(policy_loss, 0.0), example.replace(ref_per_token_logps=None)),
        "loss, beta>0": (update(policy_loss, 0.04), example),
        "loss with corrections": (
            update(with_corrections(policy_loss, 1.0, 0, 2), 0.04), corrected(example, [], [], 0)
        ),
        "log-probs of the reference": (reference, example),
    }  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    for case, (function, batch) in cases.items():
        for arm in args.arms if args.case in (None, case) else ():
            take(arm)
            program = (
                jax.jit(lambda *inputs, function=function: function(*inputs)).lower(state, optimizer_state, batch).compile()
            )
            found.setdefault(case, {})[arm] = {"temporary_gb": round(program.memory_analysis().temp_size_in_bytes / GB, 3)}
            for _ in range(2 if args.seconds else 0):
                began = time.process_time()
                jax.block_until_ready(program(state, optimizer_state, batch))
                found[case][arm]["seconds"] = round(time.process_time() - began, 2)
            print(f"{case}: {arm}: {found[case][arm]}", file=sys.stderr, flush=True)
    return found


def one_update(args: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The largest memory of this process, once it has made an update."""
    take(args.arms[0])
    config = load_config(
        overrides={
            "batch_size": 1, "num_generations": args.answers, "num_train_steps": 1, "remat": args.remat, "lora.rank": args.lora,
            "rollout.max_prompt_tokens": args.prompt, "rollout.max_new_tokens": args.tokens, "cal_provider": "reference",
        }
    )  # fmt: skip
    task, policy = load_task(config), policy_of(args, folder)
    pairs, _ = fitting(task.train, policy.tokenizer, args.prompt, "training")
    cluster = build_cluster(config, policy, make_mesh(), None)
    with CALOracle(config.cal_provider) as oracle:
        CALGRPOLearner(cluster, algorithm(config, formula(config.credit)), oracle=oracle).train(
            [dict(next(batches(pairs, 1, seed=0)))]
        )
    device = jax.devices()[0].memory_stats() or {}
    here = {"peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GB, 2)}
    return here | ({"device_gb": round(device["peak_bytes_in_use"] / GB, 2)} if "peak_bytes_in_use" in device else {})


def runs(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """``one_update`` of each arm, in a process each."""
    found = {}
    for arm in args.arms:
        command = [sys.executable, __file__, *sys.argv[1:], "--arms", arm, "--folder", str(folder)]
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        last = shown.stdout.strip().splitlines()[-1:]
        found[arm] = json.loads(last[0]) if shown.returncode == 0 and last else {"failed": shown.returncode}
        print(f"{arm}: {found[arm]}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SHAPES, default="small")
    parser.add_argument("--layers", type=int, help="instead of the model's")
    parser.add_argument("--answers", type=int, default=8, help="rows of a forward pass")
    parser.add_argument("--prompt", type=int, default=256, help="tokens")
    parser.add_argument("--tokens", type=int, default=512, help="of an answer")
    parser.add_argument("--lora", type=int, help="rank of adapters")
    parser.add_argument("--remat", action="store_true", help="recompute layers in the backward pass")
    parser.add_argument("--seconds", action="store_true", help="run what was compiled, too")
    parser.add_argument("--run", action="store_true", help="make an update, in a process for each arm")
    parser.add_argument("--arms", choices=ARMS, nargs="+", default=list(ARMS), help="Tunix's logits, chunks, chunks and rows")
    parser.add_argument("--case", choices=CASES, help="compile this one only")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder is not None:
        print(json.dumps(one_update(args, args.folder)))
        return
    with tempfile.TemporaryDirectory() as where:
        folder = folder_of(args, Path(where))
        settings = {name: getattr(args, name) for name in ("model", "layers", "answers", "prompt", "tokens", "lora", "remat")}
        what = runs(args, folder) if args.run else compiled(args, folder)
    vocabulary = SHAPES[args.model]["vocab_size"]
    logits = round(4 * args.answers * args.tokens * vocabulary / GB, 3)
    result = {**settings, "device": jax.devices()[0].device_kind, "logits_of_the_answers_gb": logits}
    print(json.dumps(result | {"an_update" if args.run else "compiled": what}, indent=2))


if __name__ == "__main__":
    main()
