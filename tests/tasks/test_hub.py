import json
from types import SimpleNamespace

import pytest

from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.tasks import load_task
from cal_grpo.tasks.hub import DATASETS, is_hub_id, read_hub


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


ROWS = [{"question": f"How much is {i} + {i}?", "answer": str(2 * i)} for i in range(30)]


@pytest.fixture
def hub(monkeypatch):
    """A hub that has ``owner/name`` with the parts that are put into it, and keeps what it was asked for."""
    import datasets
    import huggingface_hub

    parts, asked = {}, []

    def load_dataset(*names, split=None):
        asked.append((*names, split))
        return parts[split] if split else datasets.DatasetDict(parts)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: None)
    return SimpleNamespace(
        put=lambda **rows: parts.update({k: datasets.Dataset.from_list(v) for k, v in rows.items()}), asked=asked
    )


def load(data, **options):
    return load_task(TrainConfig(task="jsonl", data=data, max_eval_samples=1000), **options)


def test_a_dataset_with_a_test_part_holds_it_out(hub):
    hub.put(train=ROWS[:20], test=ROWS[20:])
    task = load("owner/name:main")
    assert {e.question for e in task.train} == {row["question"] for row in ROWS[:20]}
    assert {e.question for e in task.eval} == {row["question"] for row in ROWS[20:]}
    assert hub.asked == [("owner/name", "main", None)]
    assert load("owner/name:main", train=False, every=True).eval == task.eval


def test_a_training_question_that_is_held_out_too_is_left_out_and_said(hub):
    hub.put(train=ROWS[:20], validation=[{"question": ROWS[3]["question"].upper() + " ", "answer": "6"}])
    task = load("owner/name")
    assert hub.asked == [("owner/name", None)]
    assert len(task.train) == 19
    assert task.notes == ("1 training questions of owner/name are left out: they are held out too",)
    hub.put(train=ROWS[3:4])
    with pytest.raises(UsageError, match="all 1 training questions are held out too"):
        load("owner/name")


def test_one_part_is_split_by_its_questions_or_held_out_whole(hub):
    hub.put(train=ROWS[:20], test=ROWS[20:])
    task = load("owner/name:main:train")
    assert len(task.train) + len(task.eval) == 20
    assert hub.asked == [("owner/name", "main", "train")]
    every = load("owner/name::test", train=False, every=True)
    assert len(every.eval) == 10
    assert hub.asked[-1] == ("owner/name", "test")


def test_parts_of_which_none_is_for_training_must_be_chosen_from(hub):
    hub.put(dev=ROWS[:2], exam=ROWS[2:])
    with pytest.raises(UsageError, match="has the parts dev, exam; choose one, such as --data owner/name::dev"):
        load("owner/name")


def test_a_bad_row_of_the_hub_is_named(hub):
    hub.put(train=[*ROWS[:2], {"question": "q", "answer": "We add 0 and 1, giving 1 after 2 steps."}])
    with pytest.raises(UsageError, match="owner/name train row 2: field 'answer' is prose"):
        load("owner/name")


@pytest.mark.parametrize(
    ("data", "hubs"),
    [("owner/name", True), ("owner/name:main", True), ("owner/na.me::test[:10%]", True), ("owner/name:main:train", True),
     ("data.jsonl", False), ("data/train.jsonl", False), ("a/b/c", False), ("./a/b", False), ("../b", False), ("/a/b", False),
     ("name", False), ("data/train.parquet", False)],
)  # fmt: skip
def test_what_looks_like_a_dataset_of_the_hub(data, hubs):
    assert is_hub_id(data) == hubs


def test_a_file_that_is_there_is_not_looked_for_on_the_hub(tmp_path, monkeypatch, hub):
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "name").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    monkeypatch.chdir(tmp_path)
    load("owner/name")
    assert hub.asked == []


def test_a_dataset_on_a_hub_that_does_not_answer_is_one_line(monkeypatch, tmp_path):
    import datasets
    import huggingface_hub.constants
    from huggingface_hub import HfApi

    # nothing listens on port 9 of this machine; the library alone would try for 23 s
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr(huggingface_hub.hf_api, "HfApi", lambda: HfApi("http://127.0.0.1:9"), raising=False)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: HfApi("http://127.0.0.1:9"), raising=False)
    tried = []
    monkeypatch.setattr("time.sleep", tried.append)
    with pytest.raises(
        UsageError, match=r"data owner/name is no file here.*the hub does not answer: .*no copy is on"
    ) as caught:
        load("owner/name")
    assert "\n" not in str(caught.value)
    assert tried == []
    assert not huggingface_hub.constants.HF_HUB_OFFLINE
