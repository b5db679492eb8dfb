"""LaTeX commands whose backslash JSON has eaten: ``"\\boxed{2}"`` with one backslash is a backspace and ``oxed{2}``."""

import re

_LETTER = {"\b": "b", "\f": "f", "\t": "t", "\r": "r", "\n": "n"}

# What stands behind the control character that the backslash and the first letter of a command became. No text has a
# backspace, and no word begins so.
_PLAIN = re.compile(
    r"\x08[A-Za-z]*"
    r"|\f(?:rac|orall|lat|rown|box|rak|ootnotesize)(?![A-Za-z])"
    r"|\t(?:imes|ext(?:bf|it|rm|tt|sf|sc|up|style|color)?|frac|heta|anh|ilde|riangle(?:q|left|right)?|hinspace|binom"
    r"|herefore|iny|an(?=[({^\\]))(?![A-Za-z])"
    r"|\r(?:ight(?:arrow|leftharpoons)?|ho|m|angle|brace|brack|ceil|floor|oot|vert|eal|ule)(?![A-Za-z])"
    r"|\n(?:eq|abla|otin|leq|geq|subseteq|supseteq|rightarrow|Rightarrow|ewline)(?![A-Za-z])"
)
# These begin a line or follow a tab in ordinary text too: taken for a command only inside $...$.
_IN_MATH = re.compile(
    r"\t(?:an|o|op|ag|au)(?![A-Za-z])|\n(?:u|e|i|ot|ull|eg|mid|parallel|exists|sim|cong|less|gtr|earrow|warrow)(?![A-Za-z])"
)
_DOLLAR = re.compile(r"(?<!\\)\$+")


def eaten_command(text: str) -> str | None:
    """The first command that lost its backslash, with it; None where there is none."""
    if not any(sign in text for sign in _LETTER):
        return None
    found = _PLAIN.search(text) or next((m for m in _IN_MATH.finditer(text) if _in_inline_math(text, m.start())), None)
    return None if found is None else f"\\{_LETTER[found.group()[0]]}{found.group()[1:]}"


def _in_inline_math(text: str, at: int) -> bool:
    """Whether a single dollar sign is open; behind ``$$`` lines break as they like."""
    opened = ""
    for dollar in _DOLLAR.finditer(text, 0, at):
        opened = "" if opened else dollar.group()
    return opened == "$"
