"""The tokenizer with which a policy's answers are mapped, without the policy."""

from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.policies import resolve_model


def tokenizer_of(model: str | None) -> Any:
    """The ``tokenizers.Tokenizer`` of a model folder or hub id; None or "embedded": of the embedded policy.

    Of a model on the hub nothing but its tokenizer is downloaded.

    Raises:
        UsageError: there is no such model, or it has no tokenizer that can be read.
    """
    from tokenizers import Tokenizer

    file = resolve_model(model or "embedded", ("tokenizer.json",)) / "tokenizer.json"
    if not Path(file).is_file():
        raise UsageError(f"tokenizer {file}: not found; expected a model folder with a tokenizer.json")
    try:
        return Tokenizer.from_file(str(file))
    except Exception as e:
        raise UsageError(f"tokenizer {file}: cannot be read ({e}); download or convert it again") from e
