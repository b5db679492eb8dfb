"""What an engine hands over, and what it gets back."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from cal_grpo.alignment import Decoded, Miss, TokenSpan
from cal_grpo.credit import Batch
from cal_grpo.errors import UsageError
from cal_grpo.grading import Grade
from cal_grpo.oracles import Verdict

TRUNCATED = "truncated"  # the miss of an answer that was cut off


class OracleFailed(UsageError):
    """An oracle's call failed, or its answer could not be used, and the config said ``raise``."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled answer.

    Attributes:
        question, reference: what was asked, and its worked solution.
        token_ids: T ids as sampled, padding and the end token excluded.
        grade, reward: of the answer.
        logprobs: (T,) of the sampler, where the engine gives them.
        truncated: it was cut off at the longest length that is sampled. A wrong one is not asked about.
        end_token: the token that ended it follows in the ids that the loss sees; it gets the last token's credit.
        end_id: that token; a correction up to its final answer ends with it. Not needed where none is trained.
        regrade: grades another answer to the same question; needed where corrections are trained.
    """

    question: str
    reference: str
    token_ids: Sequence[int]
    grade: Grade
    reward: float
    logprobs: np.ndarray | None = None
    truncated: bool = False
    end_token: bool = False
    end_id: int | None = None
    regrade: Callable[[str], Grade] | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one completion. ``verdict`` is None for one that no oracle sees: a right one, or one that was cut off."""

    completion: Completion
    decoded: Decoded
    verdict: Verdict | None
    outcome: TokenSpan | Miss | None

    @property
    def text(self) -> str:
        """The response as the oracle read it."""
        return self.decoded.text

    @property
    def miss(self) -> str | None:
        """Why a wrong answer has no span: ``truncated``, the verdict's tag, or ``quote_`` and the mapping's reason.

        None where there is a span, or nothing that would need one.
        """
        if isinstance(self.outcome, TokenSpan):
            return None
        if self.verdict is None:
            return TRUNCATED if self.completion.truncated and not self.completion.grade.correct else None
        return f"quote_{self.outcome.reason}" if isinstance(self.outcome, Miss) else str(self.verdict.tag)


@dataclass(frozen=True)
class Pending:
    """Completions whose verdicts are on their way: whole groups, or with ``baseline="batch"`` any rows of an update.

    Attributes:
        completions, decoded, verdicts: a row each; None for a row that no oracle is asked about.
        stream: names the draws of formulas that draw.
    """

    completions: Sequence[Completion]
    decoded: Sequence[Decoded]
    verdicts: Sequence[Future[Verdict] | None]
    stream: tuple[int, ...] = (0,)

    def part(self, rows: slice, stream: tuple[int, ...]) -> "Pending":
        """Some of the rows, whole groups where these are the baseline."""
        return Pending(self.completions[rows], self.decoded[rows], self.verdicts[rows], stream)

    @classmethod
    def joined(cls, parts: Sequence["Pending"]) -> "Pending":
        """The rows of all parts, in their order, with the first one's stream."""
        completions, decoded, verdicts = (
            [row for part in parts for row in getattr(part, name)] for name in ("completions", "decoded", "verdicts")
        )
        return cls(completions, decoded, verdicts, parts[0].stream)


@dataclass(frozen=True, slots=True)
class Correction:
    """What an answer should have gone on with: the policy learns ``token_ids`` behind the prompt and the tokens kept.

    Attributes:
        row: of the batch; of equal rows the first.
        kept: sampled tokens before it.
        token_ids: C ids, the end token included where the answer ends with them.
        count: rows that it stands for.
        copied: it is the reference's own words in an answer of another form.
    """

    row: int
    kept: int
    token_ids: tuple[int, ...]
    count: int = 1
    copied: bool = False


@dataclass(frozen=True)
class Credited:
    """What an engine trains on, and what came of every row.

    Attributes:
        advantages_BT: float32; T is the longest completion, its end token included where it is trained.
        batch: what they were made from: these rows, or those of the whole update where that is the baseline.
        metrics: the batch's, but of these rows alone where they add up over the parts of an update (``SUMMED``); one that has
            no value, such as a latency where nobody was asked, is not there.
        missed: how many wrong answers have no span, by reason.
        judged: a record a row.
        corrections: what some rows should have gone on with.
        left_out: rows whose correction is not learned, with the reason.
    """

    advantages_BT: np.ndarray
    batch: Batch
    metrics: dict[str, float]
    missed: Counter[str]
    judged: Sequence[Judged]
    corrections: Sequence[Correction] = ()
    left_out: Mapping[int, str] = field(default_factory=dict)
