"""Random ids, texts and quotes against what must hold of any of them. JSON on stdout, progress on stderr.

    python benchmarks/fuzz_alignment.py [--cases 100000] [--seed 0] [--tokenizer FOLDER ...]

A case is a tokenizer of one of five kinds, ids (drawn at random, or a text's own, or those split and joined at random), a
quote (a line, any part, a part in another spelling, or noise) and a hint. For each of them:

- the text is the tokenizer's own decoding; the offsets never decrease, cover it, and joined they are it;
- the tokens of random characters, and of every quote that was found, are those that share a visible character with them,
  counted in bytes and not with the package's offsets, where the text is valid UTF-8;
- a line that occurs once is found exactly where it is;
- whatever was found lies inside the text, and an exact match reads as the quote does;
- nothing raises.

The first case that breaks one of these is printed with its number, which with the seed brings it back, and the status is 1.
"""

import argparse
import json
import platform
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers
from _gold import Bench, Gold, lines, load_tokenizer
from _tokenizers import KINDS
from rich.console import Console
from rich.progress import track

from cal_grpo.alignment import Aligner, Decoded, Miss, TokenSpan

_POLICY = Path(__file__).parents[1] / "src/cal_grpo/policies/ledger-tiny"
_WORDS = [
    "She", "he", "has", "had", "5", "12", "3.50", "1,000", "+", "-", "*", "/", "=", "×", "÷", "−", "x", "%", "(", ")", "$",
    "apples", "pens", "each", "so", "half", "three", "more", "not", "it's", "it’s", "“quoted”", "Step", "1:", "2.", "•",
    "**bold**", "`code`", "\\frac{1}{2}", "\\times", "<<3*4=12>>12", "…", "...", "½", "²", "é", "e\u0301", "ﬁ", "数学",
    "हिन्दी", "עברית", "🍎", "👩\u200d👩\u200d👧", "</s>", "<pad>", "▁", "<0x41>", "\u200b", "\ufffd",
]  # fmt: skip
_SPELLINGS: list[Callable[[str], str]] = [
    str, str, str.upper, str.title, lambda t: t.replace(" ", "  "), lambda t: f"“{t}”", lambda t: t[:9] + "…" + t[-9:],
]  # fmt: skip


def noise(rng: random.Random) -> str:
    """A few words of the kind above and characters of any kind."""
    parts = []
    for _ in range(rng.randrange(25)):
        kind = rng.random()
        if kind < 0.8:
            parts.append(rng.choice(_WORDS))
        elif kind < 0.95:
            parts.append(chr(rng.choice([rng.randrange(0x250), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])))
        else:
            parts.append("".join(rng.choice(" \n\t\u00a0\u2028") for _ in range(rng.randrange(4))))
    return rng.choice([" ", " ", "\n", ""]).join(parts)


def some_ids(bench: Bench, rng: random.Random) -> list[int]:
    kind = rng.random()
    if kind < 0.3:
        return [rng.randrange(len(bench.vocab) + 3) for _ in range(rng.randrange(40))]
    ids = bench.encode("\n".join(noise(rng) for _ in range(rng.randrange(1, 4))))
    if kind < 0.6:
        ids = bench.resegmented(ids, rng)
    elif kind < 0.8:
        ids = [i for i in ids if rng.random() < 0.95] + [rng.randrange(len(bench.vocab)) for _ in range(rng.randrange(3))]
    return ids


def some_quote(text: str, rng: random.Random) -> str:
    if rng.random() < 0.2 or not text:
        return noise(rng)
    if rng.random() < 0.4 and (spans := lines(text)):
        return text[slice(*rng.choice(spans))]
    start = rng.randrange(len(text))
    part = text[start : start + rng.randrange(1, 60)]
    words = rng.choice(_SPELLINGS)(part).split(" ")
    if rng.random() < 0.3:
        words[rng.randrange(len(words))] = rng.choice(_WORDS)
    return " ".join(words)


def some_hint(text: str, rng: random.Random) -> str | None:
    at = rng.randrange(len(text) + 1)
    return rng.choice([None, "", str(rng.randrange(5)), text[max(0, at - 20) : at], noise(rng)])


class Broken(Exception):
    """Something that must hold does not."""


def must(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


def check_offsets(decoded: Decoded, text: str, length: int) -> None:
    starts, ends = decoded.starts_T.tolist(), decoded.ends_T.tolist()
    must(decoded.text == text, "the text is the tokenizer's own")
    must(len(starts) == len(ends) == length, "offsets for each token")
    must(starts == sorted(starts) and ends == sorted(ends), "offsets never decrease")
    joined, done = "", 0
    for start, end in zip(starts, ends, strict=True):
        must(0 <= start <= done and start <= end, "offsets cover the text")
        joined += text[done:end]
        done = max(done, end)
    must(joined == text, "joined offsets are the text")


def check_span(got: TokenSpan, decoded: Decoded, quote: str, gold: Gold | None) -> None:
    must(0 <= got.start < got.end <= len(decoded), "tokens inside the response")
    must(0 <= got.char_start < got.char_end <= len(decoded.text), "characters inside the text")
    must(got.method != "exact" or decoded.text[got.char_start : got.char_end] == quote.strip(), "exact is exact")
    if gold:
        must(gold.tokens(got.char_start, got.char_end) == (got.start, got.end), "the tokens are those of the characters")


def run(bench: Bench, aligner: Aligner, rng: random.Random) -> str:
    """One case; what became of its quote."""
    ids = some_ids(bench, rng)
    text = bench.tokenizer.decode(ids, skip_special_tokens=False)
    decoded = aligner.decode(ids)
    check_offsets(decoded, text, len(ids))
    known = all(i in bench.pieces for i in ids) and "\ufffd" not in text
    gold = bench.gold(text, ids) if known else None
    if gold and text:
        start = rng.randrange(len(text))
        end = rng.randrange(start, len(text) + 1)
        must(decoded.tokens(start, end) == gold.tokens(start, end), f"the tokens of [{start}, {end})")
    quote, hint = some_quote(text, rng), some_hint(text, rng)
    got = aligner.map(decoded, quote, hint)
    if isinstance(got, TokenSpan):
        check_span(got, decoded, quote, gold)
    stripped = quote.strip()
    is_line = stripped in [text[slice(*span)] for span in lines(text)]
    # A special token is no part of a quote, nor is one cut out of a token.
    if is_line and text.count(stripped) == 1 and any(map(str.isalnum, stripped)) and not decoded.special_T.any():
        at = text.index(stripped)
        must(isinstance(got, TokenSpan) and got.char_start == at and got.method == "exact", "a line that occurs once is found")
    return f"miss: {got.reason}" if isinstance(got, Miss) else got.method


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="only this one")
    parser.add_argument("--tokenizer", type=Path, nargs="*", default=[_POLICY], help="folders with a tokenizer.json")
    args = parser.parse_args()
    console = Console(stderr=True)
    rng = random.Random(f"fuzz/{args.seed}/texts")
    texts = [noise(rng) for _ in range(400)]
    benches = [Bench(name, build(texts)) for name, build in KINDS.items()]
    benches += [Bench(folder.resolve().name, load_tokenizer(folder)) for folder in args.tokenizer]
    aligners = [Aligner(bench.tokenizer, max_span_tokens=1000) for bench in benches]

    outcomes: dict[str, Counter[str]] = {bench.name: Counter() for bench in benches}
    cases = range(args.cases) if args.case is None else [args.case]
    slowest, begin = 0.0, time.perf_counter()
    for case in track(cases, "fuzzing", console=console, transient=True):
        bench, aligner = benches[case % len(benches)], aligners[case % len(benches)]
        since = time.perf_counter()
        try:
            outcomes[bench.name][run(bench, aligner, random.Random(f"fuzz/{args.seed}/{case}"))] += 1
        except Broken as e:
            sys.exit(f"case {case}, seed {args.seed}, {bench.name}: it does not hold that {e}")
        except BaseException:
            console.print(f"case {case}, seed {args.seed}, {bench.name}:")
            raise
        slowest = max(slowest, time.perf_counter() - since)
    report: dict[str, Any] = {
        "cases": len(cases),
        "seed": args.seed,
        "broken": 0,
        "outcomes": {name: dict(counts.most_common()) for name, counts in outcomes.items()},
        "seconds": round(time.perf_counter() - begin, 1),
        "slowest_ms": round(1000 * slowest, 1),
        "python": platform.python_version(),
        "tokenizers": tokenizers.__version__,
    }
    print(json.dumps(report, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
