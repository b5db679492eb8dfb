"""A disk that takes no more ends a run in one line, which says how to go on."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from cal_grpo.errors import RunFailed
from cal_grpo.files import disk_is_full


class FullDisk:
    """Looks at what ends a run, from within its closers too: a checkpoint that could not be saved is found out there."""

    def __init__(self) -> None:
        self._run: tuple[Path, Callable[[], int], str, str] | None = None

    def watch(self, folder: Path, count: Callable[[], int], unit: str, then: str) -> None:
        """From now on a run writes a folder.

        Args:
            folder: its.
            count: how much it made so far.
            unit: of what.
            then: what to do when there is room.
        """
        self._run = folder, count, unit, then

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Raises: RunFailed: the disk was full."""
        if self._run is None or not isinstance(error, Exception) or (said := disk_is_full(error)) is None:
            return
        folder, made, unit, then = self._run
        raise RunFailed(
            f"{folder}: {said}, after {made()} {unit}; make room there, then {then}", "disk full", made()
        ) from error
