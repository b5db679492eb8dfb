"""What does a dataset's row ask, and has a dataset all that credit needs?"""

from collections.abc import Callable, Mapping
from typing import Any

from datasets import Dataset

from cal_grpo.errors import UsageError
from cal_grpo.tasks import Example

COLUMNS = ("prompt", "answer", "reference")


def example_of(row: Mapping[str, Any]) -> Example:
    """What a row asks. Without a column ``question`` it is the prompt, or its last user message.

    Raises:
        UsageError: a column is missing or empty, or nothing is asked.
    """
    prompt = row.get("prompt")
    if not isinstance(prompt, str | list) or not prompt:
        raise UsageError(f"a row's prompt is {prompt!r:.60}; expected text, or messages")
    for name in COLUMNS[1:]:
        if not isinstance(row.get(name), str):
            raise UsageError(f"a row's {name} is {row.get(name)!r:.60}; expected text in the columns {', '.join(COLUMNS[1:])}")
    if not row["answer"].strip():
        raise UsageError(f"a row's answer is {row['answer']!r:.60}; expected what a right answer ends in: leave the row out")
    question = row.get("question") or _last_question(prompt)
    if not isinstance(question, str):
        raise UsageError(f"a row's question is {question!r:.60}; expected text")
    return Example(question, row["answer"], row["reference"])


def _last_question(prompt: Any) -> Any:
    if isinstance(prompt, str):
        return prompt
    asked = [m.get("content") for m in prompt if isinstance(m, Mapping) and m.get("role") == "user"]
    if not asked or not isinstance(asked[-1], str):
        raise UsageError(
            f"a row's prompt is {prompt!r:.60}; expected text, or messages with a user's text, or a column question"
        )
    return asked[-1]


def check_datasets(train: Any, held_out: Any, asks: Callable[[Mapping[str, Any]], Example], questions: int) -> None:
    """See that datasets have what credit needs, before a model is loaded. Streams are looked at as they come.

    Args:
        train, held_out: as TRL takes them.
        asks: what a row asks. Where it is ``example_of``, each row is read.
        questions: sampled together.

    Raises:
        UsageError: a column is missing, a row cannot be graded, there are images, or TRL would train on nothing.
    """
    if isinstance(train, Mapping):
        raise UsageError(f"train_dataset is the splits {', '.join(map(str, train))}; expected one of them")
    _check("train_dataset", train, asks)
    for name, dataset in held_out.items() if isinstance(held_out, Mapping) else [("", held_out)]:
        _check(f"eval_dataset[{name!r}]" if name else "eval_dataset", dataset, asks)
    # TRL leaves out what does not fill a sampling (trl 1.16.0, trainer/utils.py, 943), and trains on nothing without an error.
    if isinstance(train, Dataset) and len(train) < questions:
        raise UsageError(
            f"train_dataset has {len(train)} rows, but {questions} questions are sampled together; expected as many or more: "
            "lower per_device_train_batch_size or gradient_accumulation_steps"
        )


def _check(where: str, dataset: Any, asks: Callable[[Mapping[str, Any]], Example]) -> None:
    names = getattr(dataset, "column_names", None)  # a stream may not know
    if names is None or (isinstance(dataset, Dataset) and dataset.format["type"] == "custom"):  # made when it is read
        return
    needed = COLUMNS if asks is example_of else COLUMNS[:1]
    for name in needed:
        if name not in names:
            also = " (and question)" if asks is example_of else ""
            raise UsageError(f"{where} has no column {name!r}; expected the columns {', '.join(needed)}{also}")
    if seen := {"image", "images"} & set(names):
        raise UsageError(f"{where} has the column {min(seen)!r}; credit reads text: leave images out")
    if asks is example_of and isinstance(dataset, Dataset):
        read = dataset.with_format(None).select_columns([name for name in (*COLUMNS, "question") if name in names])
        for number, row in enumerate(read):
            try:
                asks(row)
            except UsageError as e:
                raise UsageError(f"{where}, row {number}: {e}") from None
