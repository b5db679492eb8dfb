"""Several devices: four virtual ones, in a process of their own, for jax counts its devices once."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tiny_models

from cal_grpo.engines.tunix.models.checkpoint import load_policy
from cal_grpo.engines.tunix.models.mesh import make_mesh
from cal_grpo.errors import UsageError

# A random policy never ends an answer, so no oracle is asked about it: a reward of its text tells its answers apart. A toy
# policy does end its answers, and gets corrections.
TRAINS = """
import sys
from _corrects import Corrects
from cal_grpo.config import load_config
from cal_grpo.runs.training import train

def letters(prompts, completions, **columns):
    return [len(text) % 7 / 7 for text in completions]

random, toy, output = sys.argv[1:]
both = {"max_eval_samples": 0, "ledger.steps": 2, "rollout.max_prompt_tokens": 96}
for fsdp, tp in ((1, 1), (2, 2)):
    mesh = {"mesh.fsdp": fsdp, "mesh.tp": tp}
    train(load_config(overrides=both | mesh | {
        "model_id": random, "output_dir": f"{output}/credit {fsdp}x{tp}", "num_train_steps": 2, "batch_size": 2,
        "micro_batch_size": 1, "num_generations": 4, "learning_rate": 1e-2, "rollout.max_new_tokens": 48, "credit": "grpo",
    }), reward_fns=letters)
    train(load_config(overrides=both | mesh | {
        "model_id": toy, "output_dir": f"{output}/corrections {fsdp}x{tp}", "num_train_steps": 1, "batch_size": 4,
        "micro_batch_size": 2, "num_generations": 2, "rollout.max_new_tokens": 24, "corrections": "rest", "beta": 0.0,
    }), oracle=Corrects())
"""


@pytest.fixture(scope="module")
def trained(shared_toy_folder, tmp_path_factory):
    """The runs of one process with four devices, each training on one of them and on all."""
    output = tmp_path_factory.mktemp("runs")
    random = tiny_models.write(output / "tiny", "qwen2")
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-c", TRAINS, random, shared_toy_folder, output],
        # XLA's pool has a thread a processor, or NPROC: where devices wait for one another in all of them, none goes on
        # (jaxlib 0.10.2, ``DefaultThreadPoolSize``).
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "NPROC": "16", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return output


def rows_of(output, run, name):
    return [
        [json.loads(line) for line in (output / f"{run} {mesh}" / name).read_text().splitlines()] for mesh in ("1x1", "2x2")
    ]


def test_four_devices_learn_corrections_as_one_does(trained):
    (one,), (four,) = rows_of(trained, "corrections", "metrics.jsonl")
    assert one["correction_loss"] > 0.1
    for name in ("cal/corrections", "cal/correction_tokens", "correction_loss", "loss", "grad_norm"):
        np.testing.assert_allclose(four[name], one[name], rtol=1e-5, err_msg=name)


def test_four_devices_train_as_one_does(trained):
    one, four = rows_of(trained, "credit", "metrics.jsonl")
    assert len(one) == len(four) == 2
    assert one[0]["grad_norm"] > 1e-3
    assert one[1]["kl"] > 1e-5
    # Sums are taken in another order; Adam's first step, a sign, makes more of that in the second update.
    for update, tolerance in ((0, 1e-5), (1, 1e-3)):
        for name in ("loss", "kl", "grad_norm", "reward", "tokens"):
            np.testing.assert_allclose(four[update][name], one[update][name], rtol=tolerance, atol=1e-6, err_msg=name)
    responses = [[row["response"] for row in of] for of in rows_of(trained, "credit", "samples.jsonl")]
    assert len(responses[0]) == 2 * 2 * 4
    assert responses[0] == responses[1]


def test_a_mesh_that_does_not_fit_is_one_line(tmp_path):
    import jax

    with pytest.raises(UsageError, match=r"mesh: fsdp=64 x tp=2 needs 128 devices and jax sees \d+ \(cpu\)"):
        make_mesh(fsdp=64, tp=2)
    folder = tiny_models.write(tmp_path / "qwen2", "qwen2")
    wide = jax.sharding.AbstractMesh((1, 4), ("fsdp", "tp"))
    with pytest.raises(UsageError, match=r"mesh.tp=4 does not divide an axis of 2 of layers.0.attn.k_proj.w; choose a divisor"):
        load_policy(folder, wide)
