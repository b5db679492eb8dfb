"""How exactly and how fast quotes become sampled tokens. JSON on stdout, progress on stderr.

    python benchmarks/mapping.py --data DATA.jsonl [DATA.jsonl ...] [--tokenizer FOLDER ...] [--limit N] [--no-speed]

Data: JSON lines with `response`, `step_spans` and `first_error_step` (the quote is that step), or with whole solutions
as in GSM8K's example_model_solutions.jsonl (each line of a wrong one is a quote). Four tokenizers of different kinds are
trained on the responses; folders with a tokenizer.json are added to them.

Gold: for a verbatim quote the tokens that share a visible character with the step; for a changed one those from the
first to the last visible character that survived the change. `exact` means equal to gold. Every quote but the rows that
say otherwise comes with the text before it as its hint: 80 characters, as oracles give it, and more where a solution that
goes round in circles has the same 80 twice. The length limit on spans is off.
"""

import argparse
import json
import random
import re
import sys
from pathlib import Path
from typing import Any

import _perturb as perturb
from _edits import apply, survivors
from _gold import Bench, Gold, Step, lines, load, load_tokenizer
from _rows import Row
from _speed import speed
from _tokenizers import KINDS
from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn, track

from cal_grpo.alignment import Aligner, Decoded

_LIMIT = 1 << 20


class Mapping:
    """The quotes of one data set on one tokenizer."""

    def __init__(self, bench: Bench, steps: list[Step], vocabulary: list[str]) -> None:
        self.bench, self.steps, self.vocabulary = bench, steps, vocabulary
        self.aligner = Aligner(bench.tokenizer, max_span_tokens=_LIMIT)
        self.careful = Aligner(bench.tokenizer, max_span_tokens=_LIMIT, on_ambiguous="miss")
        self.limited = Aligner(bench.tokenizer)
        self.rows: dict[str, Row] = {}
        self.decoded: dict[str, tuple[Decoded, Gold] | None] = {}

    def read(self, text: str) -> tuple[Decoded, Gold] | None:
        """None, and counted, if the tokenizer does not reproduce the text."""
        if text not in self.decoded:
            ids = self.bench.encode(text)
            gold = self.bench.gold(text, ids)
            self.decoded[text] = (self.aligner.decode(ids), gold) if gold else None
        return self.decoded[text]

    def row(self, name: str, negative: bool = False) -> Row:
        return self.rows.setdefault(name, Row(negative))

    def run(self, step: Step, number: int) -> None:
        read = self.read(step.response)
        if read is None:
            self.row("verbatim, not reproduced by the tokenizer").n += 1
            return
        decoded, gold = read
        rng = random.Random(f"mapping/{self.bench.name}/{number}")
        hint = hint_for(step.response, step.start, step.end)
        self.verbatim(step, decoded, gold, hint, rng)
        for name, change in self.perturbations(step).items():
            edits = change(step.text, rng)
            if span := edits and survivors(step.text, edits):
                quote = apply(step.text, edits)[0]
                expected = gold.tokens(step.start + span[0], step.start + span[1])
                self.row(name).add(self.aligner.map(decoded, quote, hint), expected, (quote, step.text))
        for name, dress in perturb.DRESSES.items():
            self.dressed(name, step, dress, rng, step.text)
        if "<<" not in step.text:
            self.dressed("annotation dropped", step, perturb.annotated, rng, step.text)
        self.two_steps(step, rng)
        self.negatives(step, decoded, hint, rng)

    def perturbations(self, step: Step) -> dict[str, perturb.Perturbation]:
        more = {"word changed": perturb.word_changed(self.vocabulary)}
        return perturb.QUOTES | more | ({"annotation dropped": perturb.annotations} if "<<" in step.text else {})

    def verbatim(self, step: Step, decoded: Decoded, gold: Gold, hint: str, rng: random.Random) -> None:
        expected, about = gold.tokens(step.start, step.end), (step.text, hint)
        self.row("verbatim, hint").add(self.aligner.map(decoded, step.text, hint), expected, about)
        self.row("verbatim, step index as hint").add(self.aligner.map(decoded, step.text, str(step.index)), expected, about)
        quote = step.text.strip()
        once = len(re.findall(f"(?={re.escape(quote)})", step.response)) == 1
        name = "verbatim, no hint, occurs once" if once else "verbatim, no hint, occurs more than once"
        self.row(name).add(self.aligner.map(decoded, step.text), expected, about)
        if not once:
            careful = self.careful.map(decoded, step.text)
            self.row("verbatim, no hint, occurs more than once, on_ambiguous=miss").add(careful, expected, about)
        self.row("verbatim, hint, at most 64 tokens").add(self.limited.map(decoded, step.text, hint), expected, about)
        ids = self.bench.resegmented(gold.ids, rng)
        other = self.bench.gold(step.response, ids)
        if other is None:
            self.row("verbatim, hint, other segmentation: not the same text").n += 1
        elif ids != gold.ids:
            got = self.aligner.map(ids, step.text, hint)
            self.row("verbatim, hint, other segmentation").add(got, other.tokens(step.start, step.end), about)

    def dressed(self, name: str, step: Step, dress: perturb.Perturbation, rng: random.Random, quote: str) -> None:
        """The response's lines are written otherwise, and the quote is as it was."""
        edits = [
            edit._replace(start=edit.start + start, end=edit.end + start)
            for start, end in lines(step.response)
            for edit in dress(step.response[start:end], rng)
        ]
        if not any(step.start <= e.start <= step.end for e in edits):
            return
        text, origin = apply(step.response, edits)
        if (read := self.read(text)) is None:
            return
        del self.decoded[text]
        decoded, gold = read
        kept = [i for i, c in enumerate(origin) if step.start <= c < step.end and not text[i].isspace()]
        hint = hint_for(text, kept[0], kept[-1] + 1)
        expected = gold.tokens(kept[0], kept[-1] + 1)
        self.row(name).add(self.aligner.map(decoded, quote, hint), expected, (quote, text[kept[0] : kept[-1] + 1]))

    def two_steps(self, step: Step, rng: random.Random) -> None:
        """Every line has a bullet or number; the quote is this line and the next, without them."""
        following = [span for span in lines(step.response) if span[0] >= step.end]
        if not following:
            return
        label = rng.choice(["- ", "* ", "{}. ", "({}) ", "Step {}: ", "**Step {}:** "])
        parts, at, spans = [], 0, {}
        for i, (start, end) in enumerate(lines(step.response)):
            parts.append(label.format(i + 1) + step.response[start:end])
            spans[start] = (at + len(parts[-1]) - (end - start), at + len(parts[-1]))
            at += len(parts[-1]) + 1
        text = "\n".join(parts)
        first = min(spans, key=lambda s: abs(s - step.start))
        start, end = spans[first][0], spans[following[0][0]][1]
        if (read := self.read(text)) is None:
            return
        del self.decoded[text]
        decoded, gold = read
        quote = step.text.strip() + rng.choice(["\n", " "]) + step.response[slice(*following[0])]
        got = self.aligner.map(decoded, quote, hint_for(text, start, end))
        self.row("bullets and step numbers dropped").add(got, gold.tokens(start, end), (quote, text[start:end]))

    def negatives(self, step: Step, decoded: Decoded, hint: str, rng: random.Random) -> None:
        other = rng.choice(self.steps)
        if other.question != step.question:
            self.negative("step of another question", step, decoded, other.text, hint)
        numbers = sorted({m[0] for m in perturb.NUMBER.finditer(step.response)})
        changes = {
            "number changed": perturb.number_changed,
            "number exchanged": perturb.number_exchanged(numbers),
            "number word changed": perturb.number_word_changed,
            "operator changed": perturb.operator_changed,
        }
        for name, change in changes.items():
            if edits := change(step.text, rng):
                self.negative(name, step, decoded, apply(step.text, edits)[0], hint)

    def negative(self, name: str, step: Step, decoded: Decoded, quote: str, hint: str) -> None:
        if _says(step.response, quote):
            return  # the response does say so, somewhere: a quote like any other
        self.row(name, negative=True).add(self.aligner.map(decoded, quote, hint), None, (quote, step.response))


def _says(response: str, quote: str) -> bool:
    """Whether the quote is there as it is, up to case and white space, with its numbers whole."""
    there, here = (" ".join(t.lower().split()) for t in (response, quote))
    return bool(re.search(rf"(?<![\d.,]){re.escape(here)}(?!\d|[.,]\d)", there))


def hint_for(text: str, start: int, end: int) -> str:
    """The text before a quote: 80 characters, doubled until no other occurrence of the quote has the same."""
    size = 80
    while size < start and text.find(text[start - size : end]) < text.rfind(text[start - size : end]):
        size *= 2
    return text[max(0, start - size) : start]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="files of JSON lines")
    parser.add_argument("--tokenizer", type=Path, nargs="*", default=[], help="folders with a tokenizer.json")
    parser.add_argument("--limit", type=int, help="quotes from each file, drawn at random; default all")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS), help="which kinds to train")
    parser.add_argument("--no-speed", action="store_true", help="leave out the timings")
    parser.add_argument("--examples", type=int, default=0, help="print so many failures of each row to stderr")
    args = parser.parse_args()
    console = Console(stderr=True)
    sets = {path.name: load(path) for path in args.data}
    folders = [Bench(folder.resolve().name, load_tokenizer(folder)) for folder in args.tokenizer]
    texts = sorted({step.response for steps in sets.values() for step in steps})
    kinds = track(args.kinds, "training tokenizers", console=console, transient=True)
    benches = [Bench(name, KINDS[name](texts)) for name in kinds] + folders
    vocabulary = sorted({w for t in texts for w in re.findall(r"[a-z]{2,}", t)} - set(perturb.NUMBER_WORDS))

    report: dict[str, Any] = {"accuracy": {}}
    totals: dict[str, Row] = {}
    with Progress(*Progress.get_default_columns()[:-1], TimeRemainingColumn(), console=console, transient=True) as progress:
        for data, steps in sets.items():
            if args.limit:
                steps = random.Random(f"mapping/{data}").sample(steps, min(args.limit, len(steps)))
            report["accuracy"][data] = {}
            for bench in benches:
                mapping = Mapping(bench, steps, vocabulary)
                for number, step in enumerate(progress.track(steps, description=f"{data}, {bench.name}")):
                    mapping.run(step, number)
                report["accuracy"][data][bench.name] = {name: row.report() for name, row in mapping.rows.items()}
                for name, row in mapping.rows.items():
                    totals[f"{data}: {name}"] = row + totals.get(f"{data}: {name}", Row(row.negative))
                    for quote, text, got in row.examples[: args.examples]:
                        print(f"[{name}] {quote!r}\n    {text!r}\n    {got}", file=sys.stderr)
    report["all tokenizers"] = {name: row.report() for name, row in totals.items()}
    if not args.no_speed:
        report["speed"] = {b.name: speed(b, texts) for b in track(benches, "timing", console=console, transient=True)}
    print(json.dumps(report, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
