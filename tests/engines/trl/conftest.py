"""A toy policy on TRL. The tests run where TRL is installed: ``make test-trl``."""

import pytest
from _toy import write_folder

from cal_grpo.oracles import Query, Tag, Verdict
from cal_grpo.tasks import stories

GROUP, LENGTH = 4, 12


class BlamesStarts:
    """Blames the first characters of every wrong answer, and counts how often it is asked."""

    name = "blames-starts"

    def __init__(self):
        self.asked = []

    async def locate(self, query: Query):
        self.asked.append(query.response)
        segment = query.response.strip()[:4]
        return Verdict(Tag.FOUND, segment=segment) if segment else Verdict(Tag.ABSTAINED)


@pytest.fixture
def oracle():
    return BlamesStarts()


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("policy") / "toy")


@pytest.fixture(scope="session")
def questions():
    from datasets import Dataset

    found = [next(stories(seed=seed, steps=2, split="train")) for seed in range(4)]
    return Dataset.from_list(
        [{"prompt": [{"role": "user", "content": e.question}], "answer": e.answer, "reference": e.reference} for e in found]
    )


@pytest.fixture
def make(folder, questions, tmp_path):
    """``make(Trainer, Config, **changes)``: arguments of the trainer by its names, all others of the config."""

    def made(trainer, config, **changes):
        given = {
            name: changes.pop(name)
            for name in (
                "oracle",
                "grade",
                "on_credit",
                "credit",
                "reward_funcs",
                "train_dataset",
                "eval_dataset",
                "callbacks",
                "tools",
                "peft_config",
            )
            if name in changes
        }
        settings = {
            "output_dir": str(tmp_path / "out"), "per_device_train_batch_size": 2 * GROUP, "num_generations": GROUP,
            "max_completion_length": LENGTH, "max_steps": 2, "learning_rate": 1e-2, "report_to": "none", "bf16": False,
            "save_strategy": "no", "gradient_checkpointing": False, "disable_tqdm": True, "logging_steps": 1, "use_cpu": True,
        } | changes  # fmt: skip
        dataset = given.pop("train_dataset", questions)
        return trainer(model=str(folder), args=config(**settings), train_dataset=dataset, **given)

    return made
