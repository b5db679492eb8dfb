import pytest

from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.tasks import load_task
from cal_grpo.tasks.hub import DATASETS, read_hub


@pytest.mark.parametrize("task", DATASETS)
def test_a_hub_that_cannot_be_reached_names_the_way_out(monkeypatch, tmp_path, task):
    import datasets
    import huggingface_hub.constants

    # nothing listens on port 9 of this machine, and the cache is empty
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(UsageError, match="--data") as caught:
        read_hub(task)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("gsm8k", {"question": "2+2?", "answer": "2 + 2 = <<2+2=4>>4\n#### 4"}),
        ("math", {"problem": "2+2?", "level": "Level 1", "type": "Algebra", "solution": "It is $\\boxed{4}$."}),
    ],
)
def test_the_hubs_own_test_part_is_held_out(monkeypatch, task, row):
    import datasets

    asked = []

    def load_dataset(*names):
        asked.append(names)
        return {"train": [row] * 3, "test": [{name: value.replace("2+2?", "1+3?") for name, value in row.items()}] * 2}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    loaded = load_task(TrainConfig(task=task))
    assert asked == [DATASETS[task]]
    assert (len(loaded.train), len(loaded.eval)) == (3, 2)
    assert (loaded.train[0].question, loaded.train[0].answer) == ("2+2?", "4")
    assert loaded.train[0].reference == row.get("solution", row.get("answer"))
