"""The oracles that have a name, what each of them can be told, and where to find those of a user's own."""

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from cal_grpo import plugins
from cal_grpo.errors import UsageError
from cal_grpo.oracles.judges import check_endpoint, load_few_shot, required_model, style_of
from cal_grpo.oracles.protocol import Oracle, check_oracle, name_of
from cal_grpo.oracles.several import compose, is_composite, leaves, named_in

_VARIED = 0.7  # temperature of critiques that are to differ
_JUDGE = frozenset({"ask_again", "corrections", "few_shot", "max_answer_tokens", "model", "style"})
_PAID = _JUDGE | {"api_key", "base_url", "max_usd", "prices"}

# What each takes of the settings that are about who is asked; how often and how fast is the same for all.
TAKES: Mapping[str, frozenset[str]] = {
    "reference": frozenset({"corrections"}),  # it has them in any case
    "arithmetic": frozenset(),
    "openai": _PAID,
    "gemini": _PAID,
    "local": _JUDGE,
}
PROVIDERS = tuple(TAKES)
_FREE_OF_ONES_OWN = frozenset({"corrections"})  # it was told all else when it was made
_OF_ONES_OWN = _FREE_OF_ONES_OWN | {"max_usd"}


def make_oracle(provider: str | Oracle, settings: Mapping[str, Any], max_usd: float | None) -> Oracle:
    """The oracle that is asked.

    Args:
        provider: see ``CALOracle``.
        settings: ``model``, ``base_url``, ``api_key``, ``few_shot``, ``style``, ``corrections``, ``timeout_s``, ``prices``,
            ``ask_again`` and ``max_answer_tokens``.
        max_usd: a limit that needs prices.

    Raises:
        UsageError: there is no such oracle, it cannot be made, it makes no use of a setting, or has no price.
    """
    given = _given(settings, max_usd)
    if isinstance(provider, str):
        _check_line(provider, given)
        oracle = _build(provider, settings)
    else:
        check_oracle(provider)
        oracle = provider
        _check_settings(f"oracle object {name_of(oracle)!r}", _FREE_OF_ONES_OWN if is_free(oracle) else _OF_ONES_OWN, given)
    unpriced = [leaf for leaf in leaves(oracle) if getattr(leaf, "price", 0) is None]
    if max_usd is not None and unpriced:
        raise UsageError(
            f"max_usd is {max_usd}, but the price of model {getattr(unpriced[0], 'model', '?')!r} is not known; "
            "expected it in a YAML file given with prices, such as {input: 0.1, output: 0.4} (USD per million tokens)"
        )
    return oracle


def takes(provider: str, setting: str) -> bool:
    """Whether a setting makes a difference to a provider's name or to a line of several.

    Raises:
        UsageError: the line cannot be read.
    """
    return any(setting in _takes(name) for name in named_in(provider))


def is_free(oracle: Oracle) -> bool:
    """Whether asking costs nothing, whoever is asked in the end."""
    return all(getattr(leaf, "free", False) for leaf in leaves(oracle))


def _check_settings(name: str, known: Collection[str], given: Collection[str]) -> None:
    for setting in sorted(set(given) - set(known)):
        those = [provider for provider in PROVIDERS if setting in TAKES[provider]]
        raise UsageError(f"{name} makes no use of {setting}; leave it out, or choose {' or '.join(those)}")


def check_named(provider: str, settings: Mapping[str, Any], max_usd: float | None) -> None:
    """See what can be seen of an oracle without making it: no key is needed, and no code of a user's own is run but imported.

    Args:
        provider, settings, max_usd: as ``make_oracle``'s; ``provider`` is a name or a line of several.

    Raises:
        UsageError: a name leads nowhere, a setting is made no use of, a judge has no model, or the base URL is not one of a
            server.
    """
    _check_line(provider, _given(settings, max_usd))
    for name in named_in(provider):
        leaf, _, own_model = name.partition(":")
        if leaf not in PROVIDERS:
            plugins.resolve("oracle", name, PROVIDERS)
        elif leaf in ("openai", "local"):  # gemini has a default
            required_model(leaf, own_model or settings["model"])
    if settings["base_url"] is not None:
        check_endpoint(settings["base_url"])


def _given(settings: Mapping[str, Any], max_usd: float | None) -> set[str]:
    """The settings that say something."""
    given = {name for name, value in {**settings, "max_usd": max_usd}.items() if value is not None}
    given -= {"timeout_s", "ask_again"} | ({"style"} if settings["style"] == "direct" else set())
    return given - (set() if settings["corrections"] else {"corrections"})


def _check_line(provider: str, given: Collection[str]) -> None:
    _check_settings(f"oracle {provider!r}", frozenset().union(*map(_takes, named_in(provider))), given)


def _build(provider: str, settings: Mapping[str, Any]) -> Oracle:
    """The oracle of a name, a ``name:model``, a ``module:name``, or a line of several."""
    examples = load_few_shot(settings["few_shot"]) if settings["few_shot"] is not None else ()
    told = {**settings, "few_shot": examples, "style": style_of(settings["style"], settings["corrections"])}
    del told["corrections"]  # they are asked for by the style
    if not is_composite(provider):
        return _build_one(provider, told)
    made: dict[tuple[str, bool], Oracle] = {}

    def one(name: str, varied: bool) -> Oracle:
        if (name, varied) not in made:  # one judge, wherever the line names it
            made[name, varied] = _build_one(name, told | ({"temperature": _VARIED} if varied else {}))
        return made[name, varied]

    return compose(provider, one)


def _build_one(provider: str, settings: Mapping[str, Any]) -> Oracle:
    name, _, own_model = provider.partition(":")
    model = own_model or settings["model"]
    rest = {key: value for key, value in settings.items() if key != "model"}
    if name == "reference":
        from cal_grpo.oracles.free import ReferenceOracle

        return ReferenceOracle()
    if name == "arithmetic":
        from cal_grpo.oracles.free import ArithmeticOracle

        return ArithmeticOracle()
    if name == "openai":
        from cal_grpo.oracles.judges import OpenAIOracle

        return OpenAIOracle(model, **rest)
    if name == "gemini":
        from cal_grpo.oracles.judges import GeminiOracle

        return GeminiOracle(model, **rest)
    if name == "local":
        from cal_grpo.engines import local_judge  # an engine: loaded only where it is asked for

        return local_judge(model, rest)
    return _users_own(provider)


def _users_own(name: str) -> Oracle:
    """A user's oracle. A class or a factory is called without arguments; an object is taken as it is."""
    found = plugins.resolve("oracle", name, PROVIDERS)
    if isinstance(found, type) or (callable(found) and not hasattr(found, "locate")):
        try:
            inspect.signature(found).bind()
        except TypeError:
            raise UsageError(
                f"oracle {name!r} takes {inspect.signature(found)}; expected a class or a function that needs no arguments"
            ) from None
        except ValueError:  # it has no signature to look at
            pass
        try:
            found = found()
        except UsageError:
            raise
        except Exception as e:
            raise UsageError(f"oracle {name!r} cannot be made ({type(e).__name__}: {' '.join(str(e).split())})") from e
    try:
        check_oracle(found)
    except UsageError as e:
        raise UsageError(str(e).replace("oracle is", f"oracle {name!r} is", 1)) from None
    return found


def _takes(name: str) -> frozenset[str]:
    provider, _, own_model = name.partition(":")
    if provider not in TAKES:
        return _OF_ONES_OWN
    if own_model and "model" not in TAKES[provider]:
        raise UsageError(f"oracle {name!r}: {provider} has no model; expected {provider!r}")
    return TAKES[provider]
