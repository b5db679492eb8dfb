"""Ledger: stories in which one quantity changes a chosen number of times.

The gain of segment credit over whole-answer credit lives in long chains, and no library at hand controls the length
of the chain. Here it is a parameter: a start, ``steps`` changes told in plain sentences with varied names, things,
verbs and word order, now and then a sentence that does not matter, and a question. The reference solution is one
equation a line, then ``#### answer``.

Training and held-out questions never share a text, see ``cal_grpo.tasks.split``.
"""

import random
from collections.abc import Iterator

from cal_grpo.tasks.split import Split, split_of
from cal_grpo.tasks.types import Example

_NAMES = {
    "She": [
        "Ada",
        "Mia",
        "Zoe",
        "Lena",
        "Nora",
        "Ines",
        "Ruth",
        "Vera",
        "Emma",
        "Tara",
        "Juno",
        "Edith",
        "Lucy",
        "Olga",
        "Priya",
        "Aiko",
    ],
    "He": [
        "Tom",
        "Ben",
        "Leo",
        "Max",
        "Omar",
        "Hugo",
        "Ivan",
        "Sam",
        "Theo",
        "Carl",
        "Noah",
        "Felix",
        "Arun",
        "Jonas",
        "Kenji",
        "Luis",
    ],
}
_THINGS = [
    "apples",
    "books",
    "buttons",
    "candles",
    "cards",
    "coins",
    "eggs",
    "flowers",
    "jars",
    "keys",
    "lamps",
    "marbles",
    "nails",
    "pears",
    "pencils",
    "plates",
    "ribbons",
    "shells",
    "stamps",
    "stones",
    "tickets",
    "toys",
]
# {w} is the subject, {n} the amount, {t} the thing. Each changes the quantity by n; what tells the sign is the verb.
_GAINS = (
    "{w} buys {n} more.",
    "{w} finds {n} more.",
    "{w} gets {n} from a friend.",
    "{w} wins {n} {t}.",
    "{w} picks up {n}.",
    "Then {n} {t} arrive by post.",
    "A neighbor brings {n}.",
    "Later {n} more are found.",
    "Another {n} {t} are added.",
    "{w} takes {n} from a shelf.",
)
_LOSSES = (
    "{w} gives away {n}.",
    "{w} loses {n} {t}.",
    "{w} sells {n}.",
    "{w} breaks {n}.",
    "{w} lends {n} to a friend.",
    "Then {n} {t} are stolen.",
    "A neighbor takes {n}.",
    "Later {n} go missing.",
    "Another {n} {t} are thrown out.",
    "{w} leaves {n} on a shelf.",
)
_ASIDES = (
    "It is {n} degrees outside.",
    "The bus number is {n}.",
    "A cousin is {n} years old.",
    "The walk takes {n} minutes.",
    "The radio plays for {n} minutes.",
    "There are {n} houses in the street.",
)
_STARTS = ("{name} has {n} {t}.", "{name} starts with {n} {t}.", "At first {name} owns {n} {t}.")
_ENDS = ("How many {t} does {name} have now?", "How many {t} are left in the end?", "How many {t} does {name} own?")

_START_RANGE = range(10, 100)
_CHANGE_RANGE = range(2, 50)
_MAX_TOTAL = 199
_ASIDE_SHARE = 0.25  # of stories; such a story has one sentence that does not matter


def story(rng: random.Random, steps: int) -> Example:
    """One story with ``steps`` changes. The running total stays in [0, 199]; the amounts of a story differ."""
    pronoun = rng.choice(("She", "He"))
    name, thing = rng.choice(_NAMES[pronoun]), rng.choice(_THINGS)
    total = rng.choice(_START_RANGE)
    sentences = [rng.choice(_STARTS).format(name=name, n=total, t=thing)]
    equations = []
    for amount in rng.sample(_CHANGE_RANGE, steps):
        up, down = total + amount <= _MAX_TOTAL, amount <= total
        gain = rng.random() < 0.5 if up and down else up
        sentence = rng.choice(_GAINS if gain else _LOSSES)
        sentences.append(sentence.format(w=rng.choice((name, pronoun)), n=amount, t=thing))
        result = total + amount if gain else total - amount
        equations.append(f"{total}{'+' if gain else '-'}{amount}={result}")
        total = result
    if rng.random() < _ASIDE_SHARE:
        aside = rng.choice(_ASIDES).format(n=rng.choice(_CHANGE_RANGE))
        sentences.insert(rng.randint(1, steps), aside)
    sentences.append(rng.choice(_ENDS).format(name=name, t=thing))
    reference = "\n".join([*equations, f"#### {total}"])
    return Example(question=" ".join(sentences), answer=str(total), reference=reference)


def stories(*, seed: int, steps: int, split: Split) -> Iterator[Example]:
    """An endless stream of distinct-looking stories of one split, reproducible from its arguments.

    Raises:
        ValueError: if ``steps`` is not in 1..40 (the amounts of one story are drawn without replacement).
    """
    if not 1 <= steps <= 40:
        raise ValueError(f"ledger steps must lie in 1..40; got {steps}")
    rng = random.Random(f"ledger/{split}/{steps}/{seed}")
    while True:
        example = story(rng, steps)
        if split_of(example.question) == split:
            yield example
