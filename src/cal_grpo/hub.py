"""Whether the Hugging Face hub answers: asked once, for seconds."""

from collections.abc import Callable

_REACH_S = 5.0


def unreachable(ask: Callable[[float], object]) -> str | None:
    """Why the hub does not answer; None where it does, whatever it says.

    Left alone, its libraries repeat their requests with pauses, 23 s in all (huggingface_hub 1.33, utils/_http.py,
    ``http_backoff``).

    Args:
        ask: one cheap question of ``HfApi``, with the seconds that it may take.
    """
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]  # httpx's, before it requests'

    reason = None
    try:
        ask(_REACH_S)
    except HfHubHTTPError as e:  # it answered, and loading will say what is wrong
        reason = str(e) if e.response is not None and e.response.status_code >= 500 else None
    except (HTTPError, OSError) as e:
        reason = str(e) or type(e).__name__
    except ValueError:  # no name that the hub knows; loading says so
        pass
    return " ".join(reason.split())[:120] if reason else None
