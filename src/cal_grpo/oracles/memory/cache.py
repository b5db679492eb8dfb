"""Verdicts on disk: paid for once, kept for every later run.

A row is addressed by its content: the oracle's identity (name, model, prompt, few-shot examples, sampling) and the query's
texts; of a vote's critiques from the second on their number, too.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from cal_grpo.oracles.memory.cache_file import CacheFile
from cal_grpo.oracles.memory.memory import Question
from cal_grpo.oracles.memory.records import digest, read_verdict, verdict_record
from cal_grpo.oracles.memory.to_disk import to_disk
from cal_grpo.oracles.types import Query, Verdict


class VerdictCache:
    """One oracle's verdicts in a cache file; safe from any thread.

    Args:
        file: where they are; other oracles' may be there too.
        identity: see ``Oracle``.
        critique: which of the answers that the oracle draws to one query, from 0.
    """

    def __init__(self, file: CacheFile, identity: Mapping[str, str], critique: int = 0) -> None:
        self._file, self._critique = file, critique
        self._identity = json.dumps(dict(identity), sort_keys=True)
        self._oracle = digest(dict(identity))

    def get(self, request: str) -> Verdict | None:
        """The verdict on a request's digest, if there is one that can be read."""
        found = self._file.find(self._oracle, self._address(request))
        try:
            return None if found is None else read_verdict(json.loads(found))
        except (ValueError, RecursionError):
            return None  # as good as not there: it is asked for again, and replaced

    def put(self, request: str, query: Query, verdict: Verdict) -> None:
        """Store a verdict; it is on disk when this returns. Failures are not for storing.

        Raises:
            ValueError: the verdict is a failure.
        """
        if verdict.tag.is_failure:
            raise ValueError(f"a failure is never stored; got tag {verdict.tag!s}")
        question, reference, response = (
            text.encode("utf-8", "replace").decode() for text in (query.question, query.reference, query.response)
        )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = json.dumps(verdict_record(verdict))
        row = (self._oracle, self._address(request), question, reference, response, record, now)
        self._file.store(self._identity, row)

    async def recall(self, question: Question) -> Verdict | None:
        return await to_disk(self.get, question.request)

    async def keep(self, question: Question, verdict: Verdict) -> None:
        await to_disk(self.put, question.request, question.query, verdict)

    def _address(self, request: str) -> str:
        return digest([request, self._critique]) if self._critique else request
