"""What an answer is dressed in: emphasis, HTML, a decoder's special tokens, ticks."""

import re

_SPECIAL = re.compile(r"(?:\s*(?:</s>|<(?:eos|end_of_turn|end▁of▁sentence)>|<[|｜][\w▁]{1,40}[|｜]>))+\s*\Z")
_HTML = re.compile(
    r"<(b|i|u|em|strong|code|mark|span|center|p|big)(?:\s[^<>]*)?>((?:(?!<\1[\s>]).)*?)</\1>", re.DOTALL | re.IGNORECASE
)
_RAISED = re.compile(r"<(su[pb])>([^<>]{1,40})</\1>", re.IGNORECASE)
_TICKS = re.compile("\\s*[☑✅✓✔✨🎉🎊👍😀-🙏]\ufe0f?\\s*\\Z")
_DELIMITERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))


def without_markup(text: str) -> str:
    """A response without HTML's emphasis and the special tokens that a decoder left at its end."""
    if "<" not in text:
        return text
    text = _SPECIAL.sub("", text)
    text = _RAISED.sub(lambda m: f"{'^' if m[1].lower() == 'sup' else '_'}{{{m[2]}}}", text)
    return _HTML.sub(r"\2", text)


def tidy(text: str) -> str:
    """Without emphasis, a full stop, a tick, and the dollar signs around a formula."""
    text = re.sub(r"(?<!\w)\*\*([^*\n]*)\*\*", r"\1", text.strip())
    text = (_TICKS.sub("", text) or text).strip("*_` \n").rstrip(" .,;")
    for opening, closing in _DELIMITERS:
        inside = text[len(opening) : -len(closing)]
        if len(text) > len(opening + closing) and text.startswith(opening) and text.endswith(closing) and opening not in inside:
            return inside.strip().rstrip(" .,;")
    return text
