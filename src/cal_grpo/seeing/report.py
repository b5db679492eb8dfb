"""Runs as one HTML page that needs nothing else.

Everything in it that came from a model or a file is text: escaped where Python writes it, a text node where the script
does. A content security policy stands behind that: only the page's own script and style run, known by their hashes, and
nothing can be loaded from elsewhere.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from cal_grpo.intervals import share
from cal_grpo.seeing.compare_svg import in_words
from cal_grpo.seeing.curves import CURVES, chart
from cal_grpo.seeing.drawing import COLOURS, HEIGHT, PALETTE, STYLE, WIDTH, Chart, as_text, draw
from cal_grpo.seeing.oracle_use import oracle_use
from cal_grpo.seeing.report_answer import answers, cautions, legend, run_head, settings
from cal_grpo.seeing.report_data import as_script, page_data
from cal_grpo.seeing.run import Run

_OF_CALLS = (
    "answered without a call", "oracle's calls", "of these, tried again", "oracle's tokens", "oracle's price",
    "latency, p50 and p95, s",
)  # fmt: skip
_NOTHING = ("0", "–", "$0.0000")  # what a free oracle has of them
_IF_ANY = (*_OF_CALLS, "held-out, best kept")
_SCRIPTS = ("text.js", "detail.js", "rollouts.js", "curves.js", "start.js")


def report_page(runs: Sequence[Run], limit: int) -> str:
    """The page.

    Args:
        runs: at least one, side by side in this order.
        limit: rollouts in it at most; more make it slow to open.
    """
    page = files("cal_grpo.seeing") / "page"
    charts = [(curve, drawn) for curve in CURVES if (drawn := chart(curve, [[run] for run in runs])) is not None]
    style = PALETTE + STYLE + _swatches() + (page / "report.css").read_text(encoding="utf-8")
    script = '"use strict";\n' + "\n".join((page / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    data = page_data(runs, charts, limit)
    policy = f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    notes = [f"{run.name}: {note}" for run in runs for note in run.notes]
    return Template((page / "report.html").read_text(encoding="utf-8")).substitute(
        policy=policy,
        title=as_text(", ".join(run.name for run in runs)),
        style=style,
        notes="".join(f'<p class="note">{as_text(note)}</p>' for note in notes),
        answers=answers(runs),
        cautions=cautions(runs),
        settings=settings(runs),
        runs=_runs_table(runs),
        legend=legend(runs),
        charts="".join(_figure(drawn) for _, drawn in charts) or "<p>No update has been made yet.</p>",
        misses=_misses_table(runs),
        sampled=as_text(_sampled(runs, len(data["rollouts"]))),
        data=as_script(data),
        script=script,
    )


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode('utf-8')).digest()).decode()}'"


def _swatches() -> str:
    return "".join(f".s{i} {{ background: var(--c{i}); }}\n" for i in range(COLOURS))


def _figure(drawn: Chart) -> str:
    title = as_text(drawn.title)
    picture = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{draw(drawn)}</svg>'
    return f"<figure>{picture}<figcaption></figcaption></figure>"


def _table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], kind: str) -> str:
    """Cells are HTML already."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{as_text(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>' for name, cells in rows
    )
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _run_heads(runs: Sequence[Run]) -> list[str]:
    return [run_head(runs, number) for number in range(len(runs))]


def _runs_table(runs: Sequence[Run]) -> str:
    uses = [oracle_use(run) for run in runs]
    summaries = [run.summary or {} for run in runs]

    rows: list[tuple[str, Sequence[str]]] = [
        ("state", [as_text(run.state) for run in runs]),
        ("updates", [f"{run.steps:,}" for run in runs]),
        ("held-out before, %", [_held_out(run, "before") for run in runs]),
        ("held-out after, %", [_held_out(run, "after") for run in runs]),
        ("held-out, best kept", [_best(run) for run in runs]),
        ("oracle", ["–" if not run.is_credited else as_text(str(run.config.get("cal_provider", "–"))) for run in runs]),
        ("wrong answers judged", [f"{use.asked:,}" for use in uses]),
        ("with a span", [f"{use.found:,}{f' ({use.found / use.asked:.0%})' if use.asked else ''}" for use in uses]),
        ("answered without a call", [f"{use.cached:,}" for use in uses]),
        ("oracle's calls", [_number(use.calls) for use in uses]),
        ("of these, tried again", [_number(use.retried) for use in uses]),
        ("oracle's tokens", [_number(use.tokens) for use in uses]),
        ("oracle's price", ["unknown" if use.usd is None else f"${use.usd:,.4f}" for use in uses]),
        (
            "latency, p50 and p95, s",
            ["–" if use.latency_p50_s is None else f"{use.latency_p50_s:.2f}, {use.latency_p95_s:.2f}" for use in uses],
        ),
        ("wall-clock, s", [as_text(str(summary.get("wall_s", "–"))) for summary in summaries]),
    ]
    rows = [row for row in rows if row[0] not in _IF_ANY or any(cell not in _NOTHING for cell in row[1])]
    return _table(["", *_run_heads(runs)], rows, "figures")


def _held_out(run: Run, when: str) -> str:
    answers = run.answers.get(when)
    if not answers:
        return "–"
    return f"{in_words(share(sum(a.correct for a in answers), len(answers)))} of {len(answers):,}"


def _best(run: Run) -> str:
    """The best policy between updates, as the summary has it."""
    try:
        best = (run.summary or {})["eval"]["best"]
        return f"{best['accuracy']:.1%} after update {int(best['update']):,}"
    except (LookupError, TypeError, ValueError):
        return "–"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _misses_table(runs: Sequence[Run]) -> str:
    reasons: dict[str, int] = {}
    for run in runs:
        for reason, count in run.missed.items():
            reasons[reason] = reasons.get(reason, 0) + count
    if not reasons:
        judged = sum(run.total("cal/asked") for run in runs)
        return "<p>None: every judged answer got its span.</p>" if judged else "<p>None: no oracle was asked.</p>"
    most = max(count for run in runs for count in run.missed.values())

    def cell(run: Run, reason: str) -> str:
        count = run.missed.get(reason, 0)
        width = 120 * count / most
        bar = f'<svg class="bar" width="120" height="10" aria-hidden="true"><rect width="{width:.1f}" height="10"/></svg>'
        asked = run.total("cal/asked")
        return f"{bar} {count:,}" + (f" ({count / asked:.1%})" if asked else "")

    ordered = sorted(reasons, key=lambda reason: -reasons[reason])
    rows = [(reason, [cell(run, reason) for run in runs]) for reason in ordered]
    return _table(["reason", *_run_heads(runs)], rows, "figures")


def _sampled(runs: Sequence[Run], shown: int) -> str:
    written = sum(len(run.rollouts) for run in runs)
    if not written:
        return "No rollouts were written; sample_share says how many are."
    whole = all(run.config.get("sample_share", 1.0) == 1 for run in runs)
    text = "" if whole else "The runs wrote a share of their rollouts (sample_share). "
    if shown < written:
        text += f"{shown:,} of the {written:,} that were written are here, drawn evenly; --rollouts takes more. "
    return text + "Choose one to see its tokens' advantages."
