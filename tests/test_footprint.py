"""What a training keeps in memory at least, by hand."""

from cal_grpo.config import TrainConfig
from cal_grpo.runs.beforehand.footprint import footprint

# 10 x 4 + 4 x 4 + 6 x 4 + 4 = 84 numbers
SHAPES = {
    "model.embed_tokens.weight": (10, 4), "model.layers.0.self_attn.q_proj.weight": (4, 4),
    "model.layers.0.mlp.up_proj.weight": (6, 4), "model.norm.weight": (4,),
}  # fmt: skip


def config(**settings):
    return TrainConfig.model_validate({"num_generations": 2, "batch_size": 2} | settings).fitted(3, 5)


def test_all_weights():
    # weights, reference policy, gradients, two moments: five times the parameters
    assert footprint(config(), SHAPES).states == 4 * 84 * 5
    assert footprint(config(beta=0), SHAPES).states == 4 * 84 * 4  # no reference policy
    # four rows of eight tokens over ten ids, and their gradient
    assert footprint(config(), SHAPES).logits == 4 * 2 * 4 * 8 * 10


def test_micro_batches_sum_their_gradients_and_have_fewer_logits():
    found = footprint(config(micro_batch_size=1), SHAPES)
    assert found == (4 * 84 * 6, 4 * 2 * 2 * 8 * 10)


def test_adapters_alone_have_gradients_and_moments():
    # rank 2: 2 x (4 + 4) of q_proj and 2 x (6 + 4) of up_proj; the model itself is the reference policy
    assert footprint(config(lora={"rank": 2}), SHAPES).states == 4 * (84 + 36 + 36 + 2 * 36)
    assert footprint(config(lora={"rank": 2, "modules": ["q_proj"]}), SHAPES).states == 4 * (84 + 16 * 4)
