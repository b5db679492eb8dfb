"""What can be asked as an oracle, and what is refused in its place."""

import inspect
from collections.abc import Mapping
from typing import Any, Protocol, _ProtocolMeta, runtime_checkable

from cal_grpo.errors import UsageError
from cal_grpo.oracles.corrections import bounded
from cal_grpo.oracles.types import Query, Tag, Verdict

_EXPECTED = "expected a name or an object with async locate(query) -> Verdict"


class _Checked(_ProtocolMeta):
    """``isinstance`` looks at what ``locate`` is, not only at whether there is one."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return is_oracle(instance) if cls is Oracle else super().__instancecheck__(instance)


@runtime_checkable
class Oracle(Protocol, metaclass=_Checked):
    """Anything that can be asked where a wrong response first goes wrong.

    ``locate`` returns a tagged verdict for everything the world can do to it (refusals, timeouts, rate limits);
    it raises only for bugs and for configuration that a person must fix.

    An oracle may also have

    - ``identity: Mapping[str, str]``: everything besides the query that decides its answer (name, model, prompt,
      sampling). Only with one are its verdicts kept on disk;
    - ``metered = True``: its verdicts' usage counts its calls; without it, each question asked is one call;
    - ``free = True``: asking again costs nothing, so nothing is counted, paced or kept;
    - ``awaits = True``: all that takes long in ``locate`` is awaited. Without it, it may compute or block, and holds up none
      of those that await, and nobody's time limit;
    - ``price``: None where a limit in USD cannot be kept;
    - ``ask_again: int`` and ``async locate_again(query, before) -> Verdict``: how often, and how, it is asked once more about
      a response after a verdict whose ``again`` is "quote";
    - ``corrects = False``: it never brings a correction; a training that wants some does not begin with it alone;
    - ``model: str``: which model is asked; a training does not begin when one that has a model rejects its first question;
    - ``async aclose()``: closes its connections.
    """

    name: str

    async def locate(self, query: Query) -> Verdict: ...


def is_oracle(candidate: object) -> bool:
    """Whether something can be asked as an oracle, as far as that shows without asking."""
    return _complaint(candidate) is None


def check_oracle(candidate: object) -> None:
    """Refuse what cannot be asked.

    Raises:
        UsageError: ``locate`` is missing, is not ``async def`` or does not take one query; it is a class, or another
            ``CALOracle``; or its ``identity`` is no mapping.
    """
    if (complaint := _complaint(candidate)) is not None:
        raise UsageError(f"oracle is {complaint}")


def name_of(oracle: object) -> str:
    """An oracle's name, else its class's."""
    return str(getattr(oracle, "name", type(oracle).__name__))


async def ask(oracle: Any, query: Query, before: Verdict | None = None) -> Verdict:
    """One answer, held to the protocol.

    Args:
        oracle: who is asked.
        query: about what.
        before: its earlier answer, whose quote is of no use; it is asked once more.

    Raises:
        UsageError: it is something else than a ``Verdict``, or one whose correction is no text. Whatever the oracle itself
            raises passes through.
    """
    answer = oracle.locate(query) if before is None else oracle.locate_again(query, before)
    if inspect.isawaitable(answer):
        answer = await answer
    if not isinstance(answer, Verdict):
        raise UsageError(
            f"oracle {name_of(oracle)!r} answered with {_shown(answer)}; expected a Verdict, such as "
            "Verdict(Tag.FOUND, segment=...) or Verdict(Tag.ABSTAINED)"
        )
    if not isinstance(answer.tag, Tag):
        raise UsageError(f"oracle {name_of(oracle)!r} answered with a Verdict whose tag is {answer.tag!r}; expected a Tag")
    if not isinstance(answer.correction, str):
        raise UsageError(
            f"oracle {name_of(oracle)!r} answered with a Verdict whose correction is {_shown(answer.correction)}; expected "
            "text, empty where there is none"
        )
    return bounded(answer)


def _complaint(candidate: object) -> str | None:
    """What is wrong with it, what was expected and what to do; None when nothing is."""
    if isinstance(candidate, type):
        return f"the class {candidate.__name__}; pass an object of it, such as {candidate.__name__}()"
    if (why_not := getattr(type(candidate), "not_an_oracle", None)) is not None:
        return str(why_not)
    locate = getattr(candidate, "locate", None)
    kind = type(candidate).__name__
    if not callable(locate):
        return f"a {kind}; {_EXPECTED}"
    if not _is_async(locate):
        return f"a {kind} whose locate is not async def; {_EXPECTED}"
    try:
        inspect.signature(locate).bind(None)
    except TypeError:
        return f"a {kind} whose locate takes {inspect.signature(locate)}; {_EXPECTED}"
    except ValueError:  # it has no signature to look at
        pass
    identity = getattr(candidate, "identity", None)
    if not isinstance(identity, Mapping | None):
        return (
            f"a {kind} whose identity is {_shown(identity)}; expected a mapping, such as {{'oracle': name, 'model': version}}"
        )
    return None


def _is_async(function: Any) -> bool:
    """Whether calling it gives something to wait for; what a decorator hides under ``__wrapped__`` counts."""
    inner = inspect.unwrap(function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(type(inner).__call__)


def _shown(value: object) -> str:
    return f"{'' if value is None else f'a {type(value).__name__}, '}{' '.join(repr(value).split()):.60}"
