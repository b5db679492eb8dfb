"""Build the embedded policy: a small Qwen2 that has learned the offline tasks' form, and some of their reasoning.

    python scripts/build_policy.py --output src/cal_grpo/policies/ledger-tiny

From a seed, in this order: a byte-level BPE tokenizer with single digits is trained on the training parts of `ledger`
and `gsm_symbolic`; a Qwen2 of random weights is written as a Hugging Face folder and loaded through the engine's own
loader; it is taught the reference solutions by supervised learning, and stopped while it still makes mistakes: the
room that reinforcement learning is to close. Held-out questions are never seen. On 2 CPU cores it takes about three
quarters of an hour.
"""

import argparse
import itertools
import json
import random
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from cal_grpo.engines.tunix.models import load_policy, save_policy
from cal_grpo.engines.tunix.models.mesh import make_mesh
from cal_grpo.tasks.ledger import stories

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "attention_dropout": 0.0,
    "hidden_size": 96, "intermediate_size": 288, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 4, "max_position_embeddings": 1024, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
    "tie_word_embeddings": True, "use_sliding_window": False, "vocab_size": 1024,
    "bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0, "dtype": "float32",
}  # fmt: skip
BUCKETS = (64, 112, 160, 208, 288, 368)
MAX_STEPS = 14  # of a ledger story in the lessons
SCHEDULE_STEPS = 6000  # horizon of the learning rate's decay; the lessons stop earlier


def symbolic_pairs(seed: int):
    """Questions and solutions of `gsm_symbolic`'s training part, for ever."""
    from cal_grpo.tasks.gsm_symbolic import problems

    for example in problems(seed=seed, split="train"):
        yield example.question, example.reference


def ledger_pairs(seed: int, rng: random.Random):
    """Ledger stories of 1 to MAX_STEPS changes."""
    streams = [stories(seed=seed, steps=n, split="train") for n in range(1, MAX_STEPS + 1)]
    while True:
        example = next(rng.choice(streams))
        yield example.question, example.reference


def build_tokenizer(folder: Path, seed: int) -> None:
    rng = random.Random(f"tokenizer/{seed}")
    pairs = [*itertools.islice(ledger_pairs(seed, rng), 3000), *itertools.islice(symbolic_pairs(seed), 2000)]
    tokenizer = Tokenizer(models.BPE())
    words = Regex(r"[ ]?\p{L}+|\p{N}|[ ]?[^\s\p{L}\p{N}]+|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(words, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for pair in pairs for text in pair), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "eos_token": SPECIALS[2],
                "pad_token": SPECIALS[0],
                "chat_template": CHAT_TEMPLATE,
                "clean_up_tokenization_spaces": False,
                "model_max_length": CONFIG["max_position_embeddings"],
            },
            indent=2,
        )
    )


def write_initial_folder(folder: Path, seed: int) -> None:
    """config.json and random weights (normal, std 0.08 for embeddings, fan-in scaled elsewhere)."""
    rng = np.random.default_rng(seed)
    d, f, h = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["num_hidden_layers"]

    def normal(rows: int, columns: int, scale: float = 1.0) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) * scale / np.sqrt(columns)).astype(np.float32)

    tensors = {
        "model.embed_tokens.weight": normal(CONFIG["vocab_size"], d, scale=0.8),
        "model.norm.weight": np.ones(d, np.float32),
    }
    for i in range(h):
        layer = f"model.layers.{i}."
        for name in "qkv":
            tensors[f"{layer}self_attn.{name}_proj.weight"] = normal(d, d)
            tensors[f"{layer}self_attn.{name}_proj.bias"] = np.zeros(d, np.float32)
        tensors[f"{layer}self_attn.o_proj.weight"] = normal(d, d, scale=(2 * h) ** -0.5)
        tensors[f"{layer}mlp.gate_proj.weight"] = normal(f, d)
        tensors[f"{layer}mlp.up_proj.weight"] = normal(f, d)
        tensors[f"{layer}mlp.down_proj.weight"] = normal(d, f, scale=(2 * h) ** -0.5)
        tensors[f"{layer}input_layernorm.weight"] = np.ones(d, np.float32)
        tensors[f"{layer}post_attention_layernorm.weight"] = np.ones(d, np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, "pad_token_id": 0}) + "\n")


def lesson_batches(tokenizer, seed: int, batch_tokens: int, symbolic_share: float):
    """Batches of one padded length each: (ids_BT int32, loss_mask_BT bool). The loss is on the answer alone."""
    rng = random.Random(f"lessons/{seed}")
    ledger, symbolic = ledger_pairs(seed, rng), symbolic_pairs(seed)
    waiting: dict[int, list[tuple[list[int], int]]] = {length: [] for length in BUCKETS}
    while True:
        question, solution = next(symbolic if rng.random() < symbolic_share else ledger)
        messages = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        prompt_ids = tokenizer.encode(prompt)
        ids = prompt_ids + tokenizer.encode(solution) + [tokenizer.eos_token_id]
        length = next((b for b in BUCKETS if b >= len(ids)), None)
        if length is None:
            continue
        waiting[length].append((ids, len(prompt_ids)))
        rows = batch_tokens // length
        if len(waiting[length]) == rows:
            ids_BT = np.zeros((rows, length), np.int32)
            mask_BT = np.zeros((rows, length), bool)
            for row, (row_ids, start) in enumerate(waiting[length]):
                ids_BT[row, : len(row_ids)] = row_ids
                mask_BT[row, start : len(row_ids)] = True
            waiting[length].clear()
            yield ids_BT, mask_BT


def teach(model, tokenizer, *, seed, minutes, batch_tokens, learning_rate, steps, symbolic_share, on_report):
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, 200, SCHEDULE_STEPS, learning_rate * 0.1)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.98, weight_decay=0.01))
    state = optimizer.init(params)

    def loss_fn(params, ids_BT, mask_BT):
        length = ids_BT.shape[1] - 1
        positions_BT = jnp.broadcast_to(jnp.arange(length), (ids_BT.shape[0], length))
        causal_BTT = jnp.broadcast_to(jnp.tril(jnp.ones((length, length), bool)), (ids_BT.shape[0], length, length))
        logits, _ = nnx.merge(graph, params, rest)(ids_BT[:, :-1], positions_BT, None, causal_BTT)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, ids_BT[:, 1:])
        weights = mask_BT[:, 1:]
        return (losses * weights).sum() / weights.sum()

    @jax.jit
    def update(params, state, ids_BT, mask_BT):
        loss, grads = jax.value_and_grad(loss_fn)(params, ids_BT, mask_BT)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    began, losses = time.monotonic(), []
    for step, (ids_BT, mask_BT) in enumerate(lesson_batches(tokenizer, seed, batch_tokens, symbolic_share), 1):
        params, state, loss = update(params, state, ids_BT, mask_BT)
        losses.append(loss)
        if step % 50 == 0 or step == steps:
            nnx.update(model, params)
            on_report(step, float(np.mean([float(x) for x in losses])), time.monotonic() - began)
            losses.clear()
        if step == steps or time.monotonic() - began > minutes * 60:
            break
    nnx.update(model, params)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=2500, help="optimizer updates")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop early (the result then depends on the machine)")
    parser.add_argument("--batch-tokens", type=int, default=3200)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--symbolic-share", type=float, default=0.12)
    parser.add_argument("--save-every", type=int, default=0, help="also keep OUTPUT-STEP every so many updates")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    build_tokenizer(args.output, args.seed)
    write_initial_folder(args.output, args.seed)
    policy = load_policy(args.output, make_mesh())

    def report(step: int, loss: float, seconds: float) -> None:
        print(f"step {step:6d}  loss {loss:.4f}  {seconds:7.1f} s", flush=True)
        if args.save_every and step % args.save_every == 0:
            save_policy(policy, args.output.with_name(f"{args.output.name}-{step}"))

    teach(
        policy.model,
        policy.tokenizer,
        seed=args.seed,
        minutes=args.minutes,
        batch_tokens=args.batch_tokens,
        learning_rate=args.learning_rate,
        steps=args.steps,
        symbolic_share=args.symbolic_share,
        on_report=report,
    )
    save_policy(policy, args.output)


if __name__ == "__main__":
    main()
