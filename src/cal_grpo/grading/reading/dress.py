"""What an answer is dressed in: emphasis, HTML, a decoder's special tokens, ticks."""

import re

# Not ``<|im_end|>``: an oracle's correction that spells what ends a turn of the policy's is to be graded wrong.
_SPECIAL = re.compile(r"(?:</s>|<(?:eos|end_of_turn)>|<｜[\w▁]{1,40}｜>)\Z")
_MAX_SPECIAL = 40  # that are looked for, one behind another
_HTML = re.compile(
    r"<(b|i|u|em|strong|code|mark|span|center|p|big)(?:\s[^<>]*)?>((?:(?!<\1[\s>]).)*?)</\1>", re.DOTALL | re.IGNORECASE
)
_RAISED = re.compile(r"<(su[pb])>([^<>]{1,40})</\1>", re.IGNORECASE)
_DISPLAY = re.compile(r"\\begin\{((?:align|equation|gather|multline|split|aligned|gathered)\*?)\}(.*)\\end\{\1\}", re.DOTALL)
_TICKS = re.compile("\\s*[☑✅✓✔✨🎉🎊👍😀-🙏]\ufe0f?\\s*\\Z")
_DELIMITERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))


def without_markup(text: str) -> str:
    """A response without HTML's emphasis and the special tokens that a decoder left at its end."""
    if "<" not in text:
        return text
    for _ in range(_MAX_SPECIAL):
        text = text.rstrip()
        if not (special := _SPECIAL.search(text, max(0, len(text) - 50))):
            break
        text = text[: special.start()]
    text = _RAISED.sub(lambda m: f"{'^' if m[1].lower() == 'sup' else '_'}{{{m[2]}}}", text)
    return _HTML.sub(r"\2", text)


def tidy(text: str) -> str:
    """Without emphasis, a full stop, a tick, and the dollar signs around a formula."""
    text = re.sub(r"(?<![\w)])\*\*([^*\n]*)\*\*", r"\1", text.strip())
    text = re.sub(r"\*\*(?![\w(\\-])", "", text) if text.count("**") == 1 else text  # its twin stood in front of the answer
    text = (_TICKS.sub("", text) or text).strip("*_` \n").rstrip(" .,;")
    if display := _DISPLAY.fullmatch(text):
        return _rows(display[2])
    for opening, closing in _DELIMITERS:
        inside = text[len(opening) : -len(closing)]
        if len(text) > len(opening + closing) and text.startswith(opening) and text.endswith(closing) and opening not in inside:
            return inside.strip().rstrip(" .,;")
    return text


def _rows(text: str) -> str:
    """The last row of a calculation, ``x &= 3+4 \\\\ &= 7``, or all where each states something."""
    rows = [row.strip().rstrip(".,;") for row in re.split(r"\\\\(?:\[[^\[\]]*\])?", text) if row.strip()]
    goes_on = any(row.lstrip("& ").startswith("=") for row in rows[1:])
    return (rows[-1].lstrip("& =") if goes_on else ", ".join(rows)).replace("&", "")
