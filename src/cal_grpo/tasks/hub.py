"""Questions from the Hugging Face hub."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.hub import unreachable
from cal_grpo.tasks.rows import Row, parse_row
from cal_grpo.tasks.types import USUAL, Example, Fields

# Task to data set and configuration, each with a training and a test part. Both are MIT by their cards.
DATASETS = {"gsm8k": ("openai/gsm8k", "main"), "math": ("DigitalLearningGmbH/MATH-lighteval", "default")}
_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?::(?P<config>[^:/]*))?(?::(?P<split>[^/]+))?")
_FILE = re.compile(r"\.(?:jsonl?|parquet|ndjson|csv|tsv|txt|zip|gz|zst|xz)$", re.IGNORECASE)


def is_hub_id(data: str) -> bool:
    """Whether ``data`` has the form ``owner/name``, ``owner/name:config`` or ``owner/name:config:split``, and no file's."""
    return _ID.fullmatch(data) is not None and not data.startswith(".") and not _FILE.search(data)


def read_hub(task: str, fields: Fields = USUAL) -> tuple[list[Example], list[Example]]:
    """The training and test parts of a task's data set.

    Raises:
        UsageError: the hub cannot be reached.
    """
    data = _load(task, *DATASETS[task])
    return _examples(data["train"], f"{task} train", fields), _examples(data["test"], f"{task} test", fields)


def read_dataset(data: str, fields: Fields = USUAL) -> tuple[list[Example], list[Example] | None]:
    """The questions of ``owner/name[:config[:split]]``: its training and test parts, or one part and None.

    Raises:
        UsageError: it cannot be loaded, or has several parts that are not ``train`` and ``test``.
    """
    match = _ID.fullmatch(data)
    assert match is not None, data
    what = f"data {data} is no file here, and as a dataset of the hub"
    names = [match["id"], match["config"]] if match["config"] else [match["id"]]
    if match["split"]:
        return _examples(_load(what, *names, split=match["split"]), data, fields), None
    parts: Mapping[str, Iterable[Row]] = _load(what, *names)
    test = next((name for name in ("test", "validation") if name in parts), None)
    if "train" in parts and test is not None:
        return _examples(parts["train"], f"{data} train", fields), _examples(parts[test], f"{data} {test}", fields)
    if len(parts) != 1:
        one = f"{match['id']}:{match['config'] or ''}:{next(iter(parts))}"
        raise UsageError(f"data {data}: has the parts {', '.join(parts)}; choose one, such as --data {one}")
    ((name, rows),) = parts.items()
    return _examples(rows, f"{data} {name}", fields), None


def _examples(rows: Iterable[Row], where: str, fields: Fields) -> list[Example]:
    examples = [parse_row(row, f"{where} row {i}", fields) for i, row in enumerate(rows)]
    if not examples:
        raise UsageError(f"data {where}: empty; expected a row a question")
    return examples


def _load(what: str, *names: str, **options: str) -> Any:
    import datasets

    with _offline_unless_reached(names[0]) as unreached:
        try:
            return datasets.load_dataset(*names, **options)
        except Exception as e:
            reason = " ".join(str(e).split())[:200] or type(e).__name__
            if unreached:
                reason = f"the hub does not answer: {unreached}, and no copy is on this machine"
            raise UsageError(f"{what} could not be downloaded ({reason}); pass --data FILE.jsonl instead") from e


@contextlib.contextmanager
def _offline_unless_reached(dataset: str) -> Iterator[str | None]:
    """Where the hub does not answer, only what was downloaded before is looked for. Yields why it does not."""
    import datasets
    from huggingface_hub import HfApi, constants

    unreached = unreachable(lambda seconds: HfApi().dataset_info(dataset, timeout=seconds))
    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    try:
        if unreached:
            constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
        yield unreached
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
