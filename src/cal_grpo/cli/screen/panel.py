"""The live panel of a training or an evaluation."""

import itertools
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cal_grpo.config import TrainConfig
from cal_grpo.engines import UpdateTally
from cal_grpo.errors import one_line
from cal_grpo.runs import Watcher

_BARS = "▁▂▃▄▅▆▇█"
_NOTES = 20  # kept for the end; three are in the panel
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
        self._updates: deque[tuple[float, float]] = deque(maxlen=_RECENT)  # seconds and tokens, compiling aside
        self._marks: deque[tuple[float, int]] = deque(maxlen=_RECENT + 1)  # when how much of the stage was done
        self._updating = False  # whether the stage's work is updates
        self._where = self._held_out = ""
        self._shares: dict[str, str] = {}  # held-out accuracy before training, between updates the last time, and after
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
            for note in self._notes:  # the panel is gone; what nobody should miss stays
                self.console.print(Text(f"! {note}", style="yellow"), soft_wrap=True)

    def stage(self, name: str, total: int = 0) -> None:
        self._stage, self._total, self._done = one_line(name), total, 0
        self._stage_began = time.monotonic()
        self._marks.clear()
        self._updating = False
        self._line(f"{self._stage} ...")

    def advance(self, done: int) -> None:
        self._done = done
        self._marks.append((time.monotonic(), done))
        self._line(f"{self._stage} {done}/{self._total}", every_s=10)

    def begin(self, device: str, folder: Path) -> None:
        self._where = one_line(f"on {device}, writing {folder}")
        self._line(self._where)

    def update(self, tally: UpdateTally) -> None:
        if self._last is not tally:
            self._accuracy.append(0.0)
        self._last = tally
        self._accuracy[-1] = tally.accuracy

    def made(self, row: Mapping[str, Any]) -> None:
        self._updating, self._done = True, int(row["step"])
        compiling = row.get("compile_seconds") or 0.0
        self._updates.append((row["seconds"] - compiling, row.get("tokens") or 0.0))
        self._line(f"{_made(row, self._total)}  {self._speed()}  {self._time_left()}", every_s=10)

    def evaluated(self, when: str, right: int, questions: int) -> None:
        of_training = when in ("before", "after")
        self._shares[when if of_training else "between"] = f"{right / questions:.1%} {when}{' training' * of_training}"
        self._held_out = f"held-out accuracy {', '.join(self._shares.values())}"
        self._line(f"{self._held_out} ({questions} questions)")

    def standing(self, text: str) -> None:
        self._standing = one_line(text)
        self._line(self._standing, every_s=10)

    def note(self, text: str) -> None:
        self._notes = list(dict.fromkeys([*self._notes, one_line(text)]))[-_NOTES:]
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
        parts: list[Any] = [self._headline]
        if self._where:
            parts.append(Text(self._where, style="dim"))
        parts.append(bar)
        if self._held_out:
            parts.append(Text(self._held_out))
        if self._last is not None:
            parts.append(self._figures(self._last))
        if self._standing:
            parts.append(Text(self._standing, style="bold"))
        parts += [Text(f"! {note}", style="yellow") for note in self._notes[-3:]]
        return Group(*parts)

    def _figures(self, tally: UpdateTally) -> Table:
        table = Table.grid(padding=(0, 3))
        recent = self._accuracy[-_RECENT:]
        bars = _spark(self._accuracy, max(8, min(40, self.console.width - 60)))  # beside its words and the other column
        table.add_row(
            Text.assemble("training accuracy ", (f"{sum(recent) / len(recent):.2f} ", "bold"), (bars, "cyan")),
            Text(self._speed()),
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

    def _speed(self) -> str:
        """Over whole updates, sampling and learning, compiling aside."""
        seconds, tokens = (sum(part) for part in zip(*self._updates, strict=True)) if self._updates else (0.0, 0.0)
        return f"tokens/s {tokens / seconds:.0f}" if seconds > 0 else "tokens/s -"

    def _time_left(self) -> str:
        """From recent updates, or batches: of these never from the first one alone, whose time is spent on compiling."""
        left = max(self._total - self._done, 0)
        if self._updating:
            seconds = left * sum(seconds for seconds, _ in self._updates) / len(self._updates)
        elif self._total and len(self._marks) > 1:
            (began, before), (last, done) = self._marks[0], self._marks[-1]
            seconds = left * (last - began) / max(done - before, 1)
        else:
            return ""
        return f"{int(seconds // 60)}:{int(seconds % 60):02d} left"

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


def _made(row: Mapping[str, Any], total: int) -> str:
    """An update in a line: what its row of ``metrics.jsonl`` says."""
    parts = [f"update {row['step']}/{total}"]
    for name, words, form in (
        ("accuracy", "accuracy", ".2f"), ("cal/asked", "judged", ".0f"), ("cal/found", "found", ".0f"),
        ("cal/credit_share", "credit on", ".0%"), ("cal/cut_share", "cut off", ".0%"), ("seconds", "seconds", ".1f"),
    ):  # fmt: skip
        if (value := row.get(name)) is not None:
            parts.append(f"{words} {value:{form}}")
    if (compiling := row.get("compile_seconds") or 0.0) >= 1:
        parts[-1] += f" ({compiling:.1f} compiling)"
    return "  ".join(parts)


def _spark(values: list[float], width: int) -> str:
    """Accuracies in [0, 1] as a line of bars; more than ``width`` are averaged."""
    if len(values) > width:
        edges = [round(i * len(values) / width) for i in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    return "".join(_BARS[min(int(v * len(_BARS)), len(_BARS) - 1)] for v in values)
