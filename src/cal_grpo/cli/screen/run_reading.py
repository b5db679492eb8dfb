"""Reading runs while a person watches."""

from collections.abc import Sequence
from pathlib import Path

from cal_grpo.seeing import Run, open_runs

_SHOWN_FROM = 20_000_000  # bytes; less is read in a moment


def reading(paths: Sequence[Path]) -> list[Run]:
    """Runs with their rollouts read; a bar on stderr where that takes a while.

    Raises:
        UsageError: one is no run, or cannot be read.
    """
    total = sum(file.stat().st_size for path in paths if (file := path / "samples.jsonl").is_file())
    if total < _SHOWN_FROM:
        return _read(open_runs(paths))
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading rollouts"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        return _read(open_runs(paths, lambda count: bar.advance(task, count)))


def _read(runs: list[Run]) -> list[Run]:
    for run in runs:
        _ = run.rollouts
    return runs
