"""Ledger solutions with one error of a known kind at a known line, wrong from there on."""

import re

KINDS = ("sign", "amount", "slip", "skip", "repeat", "foreign", "copied")
_LINE = re.compile(r"(\d+)([+-])(\d+)=(\d+)")


def corrupt(example, kind, rng):
    """(response, index of the first wrong line), or None where this error cannot be made in this story."""
    lines = [_LINE.fullmatch(line).groups() for line in example.reference.splitlines()[:-1]]
    changes = [(sign, int(amount)) for _, sign, amount, _ in lines]
    at = rng.randrange(len(changes))
    sign, amount = changes[at]
    others = [a for _, a in changes if a != amount]
    start = int(lines[0][0])
    slip = 0
    if kind == "sign":
        changes[at] = ("-" if sign == "+" else "+", amount)
    elif kind == "amount":
        changes[at] = (sign, rng.choice(others))
    elif kind == "slip":
        slip = rng.choice([-10, -2, -1, 1, 2, 10])
    elif kind == "skip":
        del changes[at]
    elif kind == "repeat":
        changes.insert(at, changes[at])
        at += 1
    elif kind == "foreign":
        changes[at] = (sign, rng.choice([n for n in range(50, 99) if n not in others and n != start]))
    total, written = start, []
    for i, (sign, amount) in enumerate(changes):
        left = total
        if kind == "copied" and i == at:  # the total before it, read wrongly
            left = total + rng.choice([1, 10, -1, 30])
        total = left + amount if sign == "+" else left - amount
        if kind == "slip" and i == at:
            total += slip
        written.append(f"{left}{sign}{amount}={total}")
        if total < 0 or left < 0:
            return None
    written.append(f"#### {total}")
    if total == int(example.answer):
        return None  # the errors cancel out
    return "\n".join(written), at
