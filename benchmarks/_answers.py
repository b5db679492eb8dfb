"""Answers as MATH and GSM8K have them, and every change of one sign, digit or letter that makes another answer of them."""

import random
import re
from collections.abc import Iterator

_FORMS = r"""
D | -D | D.D | 0.D | \frac{D}{D} | -\frac{D}{D} | D\frac{D}{D} | D/D | D D/D | 0.\overline{1D} | D.D\overline{1D} | D,DDD
D{,}DDD | \frac{\sqrt{D}}{D} | D\sqrt{D} | -D\sqrt{D} | \sqrt{D} | \sqrt[3]{D} | D+D\sqrt{D} | \frac{D-\sqrt{D}}{D}
D \pm D\sqrt{D} | D\pi | \frac{D\pi}{D} | \frac{\pi}{D} | D-\pi | D+De | 1+\frac{D}{\mathrm{e}} | D+Di | D-Di | De^{Di}
D^{D} | D^{-D} | D \times 10^{D} | D.D \cdot 10^{-D} | \frac{D}{D^{D}} | D!+D | \binom{DD}{D} | \log_D D | \ln D | D\sin D
DV+D | V^2-DV+D | DV^3 - D | (V+D)(V-D) | \frac{V+D}{V-D} | \frac{D}{V} | DVW | DV^2W^3 | DV+DW-D | (V-D)^2 | \sqrt{V+D}
D^V | |V-D| | V=D | V = \frac{D}{D} | V = DW+D | W=DV^2-D | V^2+W^2=DD | V > D | V \le -D | D < V < DD | -D \le V < D
V < D \text{ or } V > DD | V \ne D | (D, D) | (-D, D) | (D, D, D) | \left( \frac{D}{D}, -D \right) | (V, V+D)
(D\sqrt{D}, D) | V=D, W=D | [D, DD] | (D, DD] | [-D, DD) | (-\infty, D] | (D, \infty) | (-\infty, -D) \cup (D, \infty)
[D, DD] \cup \{DD\} | \{D, DD\} | \{-D, D, DD\} | D, DD | -D, DD | D, DD, DDD | D \text{ and } DD | \frac{D}{D}, D
V+D, V-D | \begin{pmatrix} D & D \\ -D & D \end{pmatrix} | \begin{pmatrix} D \\ -D \\ D \end{pmatrix}
\begin{bmatrix} D & V \\ D & D \end{bmatrix} | DDDD_8 | DDD_{D} | 1011_2 | DDD_{\text{nine}} | DD \text{ base } D | D\%
D.D\% | D^\circ | \$D | \$D.DD | \$D,DDD | D \text{ cm} | D\text{ cm}^2 | D \text{ square feet} | DD \text{ miles per hour}
D\pi \text{ meters} | D:DD \text{ PM} | D \text{ AM} | 1D \text{ May} | \text{April } 1D | May 1D, 20DD | D:D | D:D:DD
D \text{ to } D | \text{(C)} | C | B, D | \text{Monday} | \text{Evelyn} | yes | \text{even} | East | \text{neither} | ABC
\angle ABC | \overline{AB} | \triangle PQR | x \equiv D \pmod{D} | D\operatorname{Re}(z) | \lfloor V \rfloor + D
D\mathbf{i} - D\mathbf{j} | D\vec{v} | f^{-1}(D) | a_D + D | D\text{ red}, D\text{ blue} | \emptyset | 1:D:DD:\ldots
""".strip().replace("\n", " | ").split(" | ")  # fmt: skip  # D is a digit, V and W are variables
_COMMAND = re.compile(r"\\[A-Za-z]+|\\.|(?<=\{)(?:[pb]?matrix)(?=\})")
_SUBSTITUTES = {"+": "-", "-": "+", "<": ">", ">": "<"}
_COMMANDS = {r"\le": r"\ge", r"\cup": r"\cap", r"\pi": r"\phi", r"\sin": r"\cos", r"\infty": r"-\infty"}


def math_answers(count: int, seed: int = 0) -> list[str]:
    """Different answers, the kinds in turn."""
    rng = random.Random(seed)
    made: dict[str, None] = {}
    for at in range(50 * count):
        form = _FORMS[at % len(_FORMS)]
        letters = dict(zip("VW", rng.sample("abkmnpqrtxyz", 2), strict=True))
        text = "".join(rng.choice("23456789") if c == "D" and _is_digit(form, i) else c for i, c in enumerate(form))
        made["".join(letters.get(c, c) if _is_free(text, i) else c for i, c in enumerate(text))] = None
        if len(made) == count:
            break
    return list(made)


def changes(answer: str, rng: random.Random) -> Iterator[str]:
    """Another digit, letter or sign in each place, one more, and one less; only what makes another answer.

    Commands of TeX change whole. Left out is what changes nothing: zeros that do not count, a plus in front, the capitals,
    the "s" of a plural, a sign of ``\\pm``, and a unit taken away or put behind a number that had none.
    """
    fixed = {i for match in _COMMAND.finditer(answer) for i in range(*match.span())}
    for match in _COMMAND.finditer(answer):
        if match.group() in _COMMANDS:
            yield answer[: match.start()] + _COMMANDS[match.group()] + answer[match.end() :]
    for i, c in enumerate(answer):
        if i in fixed:
            continue
        before, after = answer[:i], answer[i + 1 :]
        if c.isdigit():
            yield from (before + digit + after for digit in rng.sample("123456789".replace(c, ""), 2))
            yield from (
                before + sign + answer[i:] for sign in "-+" if "\\pm" not in answer and (sign == "-" or _follows(before, fixed))
            )
            yield before + rng.choice("123456789") + answer[i:]
            yield before + rng.choice("acdfhjknpquvwxyz") + answer[i:]
            if answer[:i][-1:].isdigit() or after[:1].isdigit():
                yield before + after
        elif c.isalpha():
            lower = c.lower()
            yield from (before + letter + after for letter in rng.sample("abcdefghijklmnopqrtuvwxyz".replace(lower, ""), 2))
            yield before + rng.choice("abcdefghijklmnopqrtuvwxyz") + answer[i:]
            if _is_in_word(answer, i) and not (lower == "s" and not after[:1].isalpha()):
                yield before + after
        elif c in _SUBSTITUTES:
            yield before + _SUBSTITUTES[c] + after
            if c != "+":
                yield before + after


def _is_digit(form: str, i: int) -> bool:
    return (
        not (form[i - 1 : i].isalpha() or form[i + 1 : i + 2].isalpha())
        or form[i - 1 : i] in "DVWi"
        or form[i + 1 : i + 2] in "DVWei"
    )


def _is_free(text: str, i: int) -> bool:
    return not any(match.start() <= i < match.end() for match in re.finditer(r"\\[A-Za-z]+|[A-Z][a-z]+", text))


def _follows(before: str, fixed: set[int]) -> bool:
    """Whether a plus here would be an operation, rather than the sign of a number."""
    return before[-1:].isalnum() and len(before) - 1 not in fixed


def _is_in_word(text: str, i: int) -> bool:
    return text[i - 1 : i].isalpha() or text[i + 1 : i + 2].isalpha()
