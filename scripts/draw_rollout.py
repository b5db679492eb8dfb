"""Draw one answer with its credit: what an oracle said of it, and each token's advantage.

    python scripts/draw_rollout.py docs/figures/rollout.svg

The question is a `ledger` story, the answer a wrong one with a slip in its third line, the oracle `reference`, the tokens the
embedded policy's. The credit is `even` with a baseline of one right answer beside it; below it what GRPO gives the same tokens.
"""

import argparse
import asyncio
import textwrap
from html import escape
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from cal_grpo.alignment import Aligner, TokenSpan
from cal_grpo.credit import Batch, Weights, assign_credit
from cal_grpo.files import write_whole
from cal_grpo.oracles import Query, ReferenceOracle, blamed, corrected
from cal_grpo.policies import EMBEDDED

QUESTION = (
    "Mia has 52 ribbons. She buys 27 more. She gives away 15. Then 36 ribbons arrive by post. She loses 40 ribbons. "
    "How many ribbons does Mia have now?"
)
REFERENCE = "52+27=79\n79-15=64\n64+36=100\n100-40=60\n#### 60"
RESPONSE = "52+27=79\n79-15=64\n64+36=90\n90-40=50\n#### 50"
WIDTH, LINE, CELL, TOP = 760, 30, 15.5, 118
STYLE = """
text { font: 15px ui-monospace, SFMono-Regular, Menlo, monospace; fill: #1f2328 } .t { font: 600 15px system-ui, sans-serif }
.n { font: 13px system-ui, sans-serif; fill: #59636e } .p { fill: #9fd6a5 } .m { fill: #ff8b82 } .g { fill: #f6b5b0 }
.z { fill: #e7eaee } .b { fill: #a8cbf7 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .n { fill: #9198a1 } .p { fill: #1f6f36 } .m { fill: #b62d28 }
.g { fill: #6b2a2a } .z { fill: #30363d } .b { fill: #1f4e8c } }
"""


def lines_of(ids: list[int], tokenizer: Tokenizer, values_T: np.ndarray) -> list[list[tuple[str, float]]]:
    """The tokens of each line, with their advantages; a line break ends one."""
    lines: list[list[tuple[str, float]]] = [[]]
    for token, value in zip(ids, values_T, strict=True):
        text = tokenizer.decode([token], skip_special_tokens=False)
        if text.strip("\n"):
            lines[-1].append((text, float(value)))
        if "\n" in text:
            lines.append([])
    return lines


def drawn(lines: list[list[tuple[str, float]]], x: float, y: float, wrong: str) -> list[str]:
    """One answer, a cell a character."""
    parts = []
    for i, line in enumerate(lines):
        at = x
        for text, value in line:
            kind = "z" if value == 0 else "p" if value > 0 else wrong if value > -1 else "m"
            wide = CELL * len(text)
            parts.append(
                f'<rect class="{kind}" x="{at:.1f}" y="{y + i * LINE:.1f}" width="{wide - 1.5:.1f}" height="23" rx="3"/>'
            )
            middle = at + wide / 2 - 0.75
            parts.append(
                f'<text x="{middle:.1f}" y="{y + i * LINE + 17:.1f}" text-anchor="middle">{escape(text.strip())}</text>'
            )
            at += wide
    return parts


def picture() -> str:
    """The SVG document."""
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    aligner = Aligner(tokenizer)
    query = Query(QUESTION, REFERENCE, RESPONSE)
    verdict = asyncio.run(ReferenceOracle().locate(query))
    ids = tokenizer.encode(RESPONSE).ids
    span, fix = blamed(aligner, aligner.decode(ids), verdict), corrected(RESPONSE, verdict)
    assert isinstance(span, TokenSpan)
    assert fix is not None
    batch = Batch(np.array([1, 0], np.float32), np.array([True, False]), np.array([len(ids)] * 2), [None, span], 2)
    even_T, grpo_T = (assign_credit(name, batch, Weights(), [None, None])[1] for name in ("even", "grpo"))
    parts = [f'<text class="t" x="20" y="30">{escape("A wrong answer, and who is blamed for it")}</text>']
    parts += [
        f'<text class="n" x="20" y="{52 + 18 * i}">{escape(line)}</text>' for i, line in enumerate(textwrap.wrap(QUESTION, 110))
    ]
    columns = ((20, "GRPO: all of it", grpo_T), (265, "CAL-GRPO: the slip", even_T))
    for x, title, values_T in columns:
        parts.append(f'<text class="t" x="{x}" y="{TOP - 12}">{escape(title)}</text>')
        parts += drawn(lines_of(ids, tokenizer, values_T), x, TOP, "g")
    parts.append(f'<text class="t" x="510" y="{TOP - 12}">… and what to write instead</text>')
    kept = RESPONSE[: fix[0]].count("\n")
    told = [[(char, 0.0) for char in line] for line in RESPONSE[: fix[0]].rstrip("\n").split("\n")]
    parts += drawn(told, 510, TOP, "g")
    taught = drawn([[(char, 0.0) for char in line] for line in fix[1].split("\n")], 510, TOP + kept * LINE, "g")
    parts += [part.replace('class="z"', 'class="b"') for part in taught]
    height = TOP + 5 * LINE + 48
    legend = (
        ("g", "pushed down"),
        ("p", "rewarded"),
        ("m", "blamed: the tokens of the oracle's quote"),
        ("z", "left alone"),
        ("b", "learned"),
    )
    x = 20.0
    for kind, text in legend:
        parts.append(f'<rect class="{kind}" x="{x:.0f}" y="{height - 30}" width="14" height="14" rx="3"/>')
        parts.append(f'<text class="n" x="{x + 20:.0f}" y="{height - 18}">{escape(text)}</text>')
        x += 38 + 7 * len(text)
    label = (
        "A wrong answer three times: pushed down everywhere by GRPO, on its slip alone by CAL-GRPO, and corrected from there."
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img" '
        f'aria-label="{label}">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    write_whole(parser.parse_args().output, picture())


if __name__ == "__main__":
    main()
