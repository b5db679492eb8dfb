"""The live panel of a training run, and the lines at its end."""

import itertools
import shlex
import time
from collections import deque
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cal_grpo.config import TrainConfig
from cal_grpo.engines import UpdateTally
from cal_grpo.errors import one_line
from cal_grpo.runs import Trained, Watcher

_BARS = "▁▂▃▄▅▆▇█"
_RECENT = 8  # updates or batches over which speed and time left are taken


class Panel(Watcher):
    """Redraws in a terminal; in a pipe or a log it prints a line now and then instead.

    The headline is training's by default.
    """

    def __init__(self, config: TrainConfig, console: Console | None = None, headline: Text | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._headline = headline or _training(config)
        self._stage, self._total, self._done = "starting", 0, 0
        self._stage_began = self._began = time.monotonic()
        self._last: UpdateTally | None = None
        self._accuracy: list[float] = []
        self._times: deque[tuple[float, int]] = deque(maxlen=_RECENT + 1)
        self._marks: deque[tuple[float, int]] = deque(maxlen=_RECENT + 1)  # when how much of the stage was done
        self._notes: list[str] = []
        self._standing = ""
        self._printed = 0.0
        self._live = Live(self, console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live.is_started:
            self._live.stop()

    def stage(self, name: str, total: int = 0) -> None:
        self._stage, self._total, self._done = one_line(name), total, 0
        self._stage_began = time.monotonic()
        self._marks.clear()
        self._line(f"{self._stage} ...")

    def advance(self, done: int) -> None:
        self._done = done
        self._marks.append((time.monotonic(), done))
        self._line(f"{self._stage} {done}/{self._total}", every_s=10)

    def update(self, tally: UpdateTally) -> None:
        if self._last is not tally:
            self._accuracy.append(0.0)
            self._times.append((0.0, 0))
            self._marks.append((0.0, 0))
        self._last, self._done = tally, tally.step
        self._accuracy[-1] = tally.accuracy
        self._times[-1] = (time.monotonic(), tally.tokens)
        self._marks[-1] = (time.monotonic(), tally.step)
        self._line(
            f"update {tally.step}/{tally.total}  accuracy {tally.accuracy:.2f}  judged {tally.judged}  found {tally.found}  "
            f"credit on {tally.credit_share:.0%} of tokens  cut off {tally.cut_share:.0%}  "
            f"{self._tokens_per_s():.0f} tokens/s  {self._time_left()}",
            every_s=10,
        )

    def standing(self, text: str) -> None:
        self._standing = one_line(text)
        self._line(self._standing, every_s=10)

    def note(self, text: str) -> None:
        self._notes = [*self._notes[-2:], one_line(text)]
        self._line(self._notes[-1])

    def __rich__(self) -> Group:
        now = time.monotonic()
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(self._stage, style="green"),
            ProgressBar(total=self._total or None, completed=self._done, width=32, pulse=not self._total),
            Text(f"{self._done}/{self._total}" if self._total else ""),
            Text(self._time_left() or f"{now - self._stage_began:.0f} s"),
        )
        parts: list[Any] = [self._headline, bar]
        if self._last is not None:
            parts.append(self._figures(self._last))
        if self._standing:
            parts.append(Text(self._standing, style="bold"))
        parts += [Text(f"! {note}", style="yellow") for note in self._notes]
        return Group(*parts)

    def _figures(self, tally: UpdateTally) -> Table:
        table = Table.grid(padding=(0, 3))
        recent = self._accuracy[-_RECENT:]
        table.add_row(
            Text.assemble(
                "training accuracy ", (f"{sum(recent) / len(recent):.2f} ", "bold"), (_spark(self._accuracy), "cyan")
            ),
            Text.assemble("tokens/s ", (f"{self._tokens_per_s():.0f}", "bold")),
        )
        table.add_row(
            Text.assemble("wrong answers judged ", (str(tally.judged), "bold"), ", quotes found ", (str(tally.found), "bold")),
            Text.assemble(
                "tokens with credit ",
                (f"{tally.credit_share:.0%}", "bold"),
                ", cut off ",
                (f"{tally.cut_share:.0%}", "bold yellow" if tally.cut_share > 0.1 else "bold"),
            ),
        )
        return table

    def _tokens_per_s(self) -> float:
        if len(self._times) < 2:
            return 0.0
        elapsed = self._times[-1][0] - self._times[0][0]
        return sum(tokens for _, tokens in list(self._times)[1:]) / max(elapsed, 1e-9)

    def _time_left(self) -> str:
        """From recent batches, and never from the first one alone, whose time is spent on compiling."""
        if not self._total or len(self._marks) < 2:
            return ""
        (began, before), (last, done) = self._marks[0], self._marks[-1]
        left = max(self._total - done, 0) * (last - began) / max(done - before, 1)
        return f"{int(left // 60)}:{int(left % 60):02d} left"

    def _line(self, text: str, every_s: float = 0.0) -> None:
        now = time.monotonic()
        if self._live.is_started or now - self._printed < every_s:
            return
        self._printed = now
        self.console.print(Text(f"[{now - self._began:6.1f} s] {text}"), soft_wrap=True)


def _training(config: TrainConfig) -> Text:
    return Text.assemble(
        ("CAL-GRPO ", "bold"), one_line(f"{config.model_id} on {config.task}, credit "), " ",
        (one_line(config.method), "bold cyan"), f", seed {config.seed}",
    )  # fmt: skip


def _spark(values: list[float], width: int = 40) -> str:
    """Accuracies in [0, 1] as a line of bars; more than ``width`` are averaged."""
    if len(values) > width:
        edges = [round(i * len(values) / width) for i in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    return "".join(_BARS[min(int(v * len(_BARS)), len(_BARS) - 1)] for v in values)


def print_summary(trained: Trained, console: Console | None = None) -> None:
    """What happened, in a few lines, and where it lies."""
    console = console or Console()
    summary, run = trained.summary, str(trained.run)
    accuracy, oracle = summary["eval"], summary["oracle"]
    table = Table.grid(padding=(0, 2))
    if accuracy["n"]:
        before, after = accuracy["before"], accuracy["after"]
        change = f"{after if before is None else before:.1%}"
        if before is not None and after is not None:
            change = f"{before:.1%} -> [bold]{after:.1%}[/bold] ({(after - before) * 100:+.1f} points)"
        table.add_row("held-out accuracy", f"{change} on {accuracy['n']} questions, greedy")
    table.add_row("updates", f"{summary['steps']} with credit '{summary['credit']}', seed {summary['seed']}")
    if oracle["asked"]:
        missed = ", ".join(f"{reason} {count}" for reason, count in sorted(oracle["missed"].items()))
        share = oracle["found"] / oracle["asked"]
        table.add_row(
            "wrong answers", f"{oracle['asked']} judged, {oracle['found']} spans found ({share:.0%})"
            + (f"; missed: {escape(one_line(missed))}" if missed else ""),
        )  # fmt: skip
        table.add_row(
            "oracle", f"{oracle['calls']} calls, {oracle['cached']} of {oracle['asked']} answers cached, "
            + ("price unknown" if oracle["usd"] is None else f"${oracle['usd']:.4f}"),
        )  # fmt: skip
    if summary.get("cut_share"):
        table.add_row("cut off", f"{summary['cut_share']:.1%} of the answers; rollout.max_new_tokens is the limit")
    table.add_row("time", f"{summary['wall_s']:.0f} s, of which {summary['compile_s']:.0f} s compiling")
    table.add_row("run folder", Text(one_line(run)))
    if stopped := summary.get("stopped"):
        more = " --set oracle.max_usd=MORE (or max_calls, max_tokens)" if stopped == "budget" else ""
        table.add_row("to go on", Text(f"cal-grpo train --resume {shlex.quote(run)}{more}"))
    console.print(table)
