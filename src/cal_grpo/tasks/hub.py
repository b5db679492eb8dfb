"""Questions from the Hugging Face hub."""

from cal_grpo.errors import UsageError
from cal_grpo.tasks.jsonl import parse_row
from cal_grpo.tasks.types import USUAL, Example, Fields

# Task to data set and configuration, each with a training and a test part. Both are MIT by their cards.
DATASETS = {"gsm8k": ("openai/gsm8k", "main"), "math": ("DigitalLearningGmbH/MATH-lighteval", "default")}


def read_hub(task: str, fields: Fields = USUAL) -> tuple[list[Example], list[Example]]:
    """The training and test parts of a task's data set.

    Raises:
        UsageError: the hub cannot be reached.
    """
    from datasets import load_dataset

    try:
        data = load_dataset(*DATASETS[task])
    except Exception as e:
        reason = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise UsageError(f"{task} could not be downloaded ({reason}); pass --data FILE.jsonl instead") from e
    train, test = (
        [parse_row(row, f"{task} {part} row {i}", fields) for i, row in enumerate(data[part])] for part in ("train", "test")
    )
    return train, test
