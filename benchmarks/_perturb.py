"""Quotes as judges return them: each function gives the edits of one kind, or none where there is nothing to change."""

import random
import re
from collections.abc import Callable, Sequence

from _edits import Edit, inserted, replaced, respelled

Perturbation = Callable[[str, random.Random], list[Edit]]

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
NUMBER_WORDS = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "fifteen", "twenty",
    "thirty", "forty", "fifty", "hundred", "half", "twice", "third",
]  # fmt: skip
_OPERATOR = re.compile(r"(?<=[\d)%])\s*([*x×/+\-])\s*(?=[\d($.])")
_WORD = re.compile(r"(?<!\S)[(\"']?(?![B-HJ-Zb-hj-z]\b)([^\W\d_]+(?:['’][a-z]+)?)[.,;:!?)\"']*(?!\S)")
_SYNONYMS = {
    "total": "sum", "has": "owns", "have": "possess", "buys": "purchases", "bought": "purchased", "each": "every",
    "so": "hence", "therefore": "thus", "because": "since", "makes": "earns", "made": "earned", "needs": "requires",
    "sells": "markets", "spends": "pays", "spent": "paid", "cost": "price", "costs": "is priced at", "many": "lots of",
    "then": "next", "is": "equals", "are": "amount to", "gets": "receives", "gives": "hands", "gave": "handed",
    "money": "cash", "people": "persons", "kids": "children", "children": "kids", "left": "remaining", "also": "too",
    "altogether": "in all", "would": "will", "will": "shall", "uses": "consumes", "eats": "consumes", "ate": "consumed",
    "find": "determine", "number": "count", "amount": "quantity", "takes": "needs", "per": "a", "which": "that",
    "day": "working day", "days": "workdays", "week": "seven-day week", "hours": "full hours", "earns": "makes",
    "pays": "spends", "paid": "spent", "remaining": "leftover", "sold": "marketed", "used": "consumed", "in": "within",
}  # fmt: skip


def case(text: str, rng: random.Random) -> list[Edit]:
    change = rng.choice([str.upper, str.lower, str.title])
    return [respelled(m.start(), m.end(), change(m[0])) for m in re.finditer(r"[A-Za-z]+", text) if change(m[0]) != m[0]]


def white_space(text: str, rng: random.Random) -> list[Edit]:
    return [
        replaced(m.start(), m.end(), rng.choice(["  ", "\n", "\t", " \n  ", "\u00a0"]))
        for m in re.finditer(r"(?<=\S)\s+(?=\S)", text)
        if rng.random() < 0.5
    ]


def curly_quotes(text: str, rng: random.Random) -> list[Edit]:
    other = {"'": "’", '"': rng.choice("“”"), "’": "'", "‘": "'", "“": '"', "”": '"'}
    return [respelled(m.start(), m.end(), other[m[0]]) for m in re.finditer("['\"’‘“”]", text)]


def operators(text: str, rng: random.Random) -> list[Edit]:
    other = {"*": "×", "x": "×", "×": "*", "/": "÷", "-": "−"}
    return [respelled(*m.span(1), other[m[1]]) for m in _OPERATOR.finditer(text) if m[1] in other]


def latex(text: str, rng: random.Random) -> list[Edit]:
    """Operators as commands, fractions, and each equation between dollar signs."""
    edits: list[Edit] = []
    for m in re.finditer(r"(?<![\d.,/$])(\d+) ?/ ?(\d+)(?![\d.,/%])", text):
        edits += [inserted(m.start(), r"\frac{"), respelled(m.end(1), m.start(2), "}{"), inserted(m.end(), "}")]
    fractions = {e.start for e in edits}
    for m in _OPERATOR.finditer(text):
        command = {"*": r"\times ", "x": r"\times ", "×": r"\cdot ", "/": r"\div "}.get(m[1])
        if command and not any(m.start() <= at <= m.end() for at in fractions):
            edits.append(respelled(*m.span(1), command))
    edits += [inserted(m.start(), "\\") for m in re.finditer(r"[$%](?=\s|\d|$)", text)]
    edits += [inserted(m.start(), "$") for m in re.finditer(r"(?<![\w$.,])(?=\d+ ?[*x+\-=] ?[\d$])", text)][:1]
    edits += [inserted(m.end(), "$") for m in re.finditer(r"= ?\$?\d+(?:\.\d+)?(?![\d.,%])", text)][:1]
    return edits


def markdown(text: str, rng: random.Random) -> list[Edit]:
    """A bullet or a heading, a bold number, and a word in italics or as code."""
    edits = [inserted(0, rng.choice(["- ", "* ", "> ", "### ", "• "]))] if text[:1].isalpha() else []
    spots = [(m.span(), "**") for m in re.finditer(r"(?<![\w.,*/+\-<])\d+(?:\.\d+)?(?![\w.,*/+\->])", text)]
    spots += [(m.span(1), rng.choice(["_", "*", "`", "**"])) for m in _WORD.finditer(text)]
    for (start, end), mark in rng.sample(spots, min(2, len(spots))):
        edits += [inserted(start, mark), inserted(end, mark)]
    return edits


def annotations(text: str, rng: random.Random) -> list[Edit]:
    """``<<3*4=12>>`` dropped."""
    return [replaced(m.start(), m.end(), "") for m in re.finditer(r"<<[^<>\n]*>>", text)]


def annotated(text: str, rng: random.Random) -> list[Edit]:
    """``3 * 4 = 12`` as ``3 * 4 = <<3*4=12>>12``."""
    equations = re.finditer(r"(\d+(?:\.\d+)? ?[*x/+\-] ?\d+(?:\.\d+)?) ?= ?\$?(\d+(?:\.\d+)?)(?![\d.,%/*])", text)
    return [inserted(m.start(2), f"<<{m[1].replace(' ', '').replace('x', '*')}={m[2]}>>") for m in equations]


def quotation_marks(text: str, rng: random.Random) -> list[Edit]:
    left, right = rng.choice(['""', "''", "“”", "«»", "``", "‘’"])
    return [inserted(0, left), inserted(len(text), right)]


def ellipsis(text: str, rng: random.Random) -> list[Edit]:
    words = [m.span() for m in re.finditer(r"\S+", text)]
    if len(words) < 6:
        return []
    first = rng.randrange(2, len(words) - 3)
    last = rng.randrange(first, len(words) - 3)
    return [replaced(words[first][0], words[last][1], rng.choice(["...", "…", "[...]", "(…)"]))]


def full_stop(text: str, rng: random.Random) -> list[Edit]:
    body = text.rstrip()
    return [replaced(len(body) - 1, len(body), "")] if body.endswith(".") else [inserted(len(body), ".")]


def word_dropped(text: str, rng: random.Random) -> list[Edit]:
    words = list(_WORD.finditer(text))
    if not words:
        return []
    word = rng.choice(words)
    return [replaced(word.start(), word.end() + len(re.match(r"\s*", text[word.end() :])[0]), "")]


def word_changed(vocabulary: Sequence[str]) -> Perturbation:
    """Another word of the data in the place of one that is no number."""

    def change(text: str, rng: random.Random) -> list[Edit]:
        words = [m for m in _WORD.finditer(text) if m[1].lower() not in NUMBER_WORDS]
        if not words:
            return []
        word, other = rng.choice(words), rng.choice(vocabulary)
        return [replaced(*word.span(1), other)] if other.lower() != word[1].lower() else []

    return change


def paraphrase(text: str, rng: random.Random) -> list[Edit]:
    """Synonyms, and articles dropped; at least two changes."""
    edits = []
    for m in _WORD.finditer(text):
        word = m[1].lower()
        if word in _SYNONYMS and rng.random() < 0.7:
            edits.append(replaced(*m.span(1), _SYNONYMS[word]))
        elif word in ("the", "a", "an", "of", "that") and rng.random() < 0.5:
            edits.append(replaced(*m.span(1), ""))
    return edits if len(edits) > 1 else []


def several(text: str, rng: random.Random) -> list[Edit]:
    kinds = (operators, white_space, curly_quotes, full_stop, quotation_marks, case)
    return [edit for kind in kinds for edit in kind(text, rng)]


# Not a quote any more.


def number_changed(text: str, rng: random.Random) -> list[Edit]:
    numbers = list(NUMBER.finditer(text))
    if not numbers:
        return []
    number = rng.choice(numbers)
    at = rng.randrange(number.start(), number.end())
    while not text[at].isdigit():
        at = rng.randrange(number.start(), number.end())
    other = rng.choice([d for d in "123456789" if d != text[at]])
    return [replaced(at, at + 1, other)]


def number_exchanged(numbers: Sequence[str]) -> Perturbation:
    """Another number of the response in the place of one: right as a number, wrong here."""

    def change(text: str, rng: random.Random) -> list[Edit]:
        spots = [(m, [n for n in numbers if _value(n) != _value(m[0])]) for m in NUMBER.finditer(text)]
        spots = [(m, others) for m, others in spots if others]
        if not spots:
            return []
        number, others = rng.choice(spots)
        return [replaced(*number.span(), rng.choice(others))]

    return change


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def number_word_changed(text: str, rng: random.Random) -> list[Edit]:
    words = [m for m in re.finditer(r"[A-Za-z]+", text) if m[0].lower() in NUMBER_WORDS]
    if not words:
        return []
    word = rng.choice(words)
    return [replaced(*word.span(), rng.choice([w for w in NUMBER_WORDS if w != word[0].lower()]))]


def operator_changed(text: str, rng: random.Random) -> list[Edit]:
    found = list(_OPERATOR.finditer(text))
    if not found:
        return []
    operator = rng.choice(found)
    same = "*x×" if operator[1] in "*x×" else operator[1]
    return [replaced(*operator.span(1), rng.choice([c for c in "*/+-" if c not in same]))]


QUOTES: dict[str, Perturbation] = {
    "case": case,
    "white space": white_space,
    "curly quotes": curly_quotes,
    "operators": operators,
    "LaTeX added": latex,
    "markdown added": markdown,
    "quotation marks": quotation_marks,
    "ellipsis": ellipsis,
    "full stop": full_stop,
    "several at once": several,
    "word dropped": word_dropped,
    "paraphrase": paraphrase,
}
# The response is written so, and the quote is not.
DRESSES: dict[str, Perturbation] = {"LaTeX stripped": latex, "markdown stripped": markdown}
