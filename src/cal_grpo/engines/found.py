"""The checkpoint that a run goes on from, and the newer ones that cannot be read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cal_grpo.errors import UsageError


class Damaged(NamedTuple):
    """A checkpoint that cannot be read.

    Attributes:
        update: whose it is.
        folder: where it lies.
        problem: why, in one line.
    """

    update: int
    folder: Path
    problem: str


@dataclass(frozen=True)
class Found:
    """What a run's folder holds. To find it touches nothing.

    Attributes:
        update: the one of the newest checkpoint that can be read; 0 in a run that has none yet.
        checkpoints: the folder of all.
        damaged: the newer ones.
    """

    update: int
    checkpoints: Path
    damaged: Sequence[Damaged] = ()

    def set_aside(self, tell: Callable[[str], None]) -> None:
        """Rename the damaged ones to ``damaged-UPDATE``, and tell of each.

        Raises:
            UsageError: one cannot be renamed.
        """
        for update, folder, problem in self.damaged:
            names = [self.checkpoints / f"damaged-{update}{more}" for more in ("", *(f"-{n}" for n in range(2, 1000)))]
            aside = next(name for name in names if not name.exists())
            try:
                folder.rename(aside)
            except OSError as e:
                raise UsageError(f"{folder}: cannot be renamed ({e.strerror or e}); move it away, then resume") from e
            tell(
                f"the checkpoint of update {update} cannot be read ({problem}); kept as {aside.name}, going back to update "
                f"{self.update}"
            )


def newest(checkpoints: Path, folders: Mapping[int, Path], problem: Callable[[int, Path], str | None]) -> Found:
    """The newest that can be read.

    Args:
        checkpoints: the folder in which damaged ones are kept.
        folders: of the checkpoints, by update.
        problem: why one of them cannot be read, in one line; None where it can.

    Raises:
        UsageError: there are checkpoints, and none can be read.
    """
    damaged: list[Damaged] = []
    for update in sorted(folders, reverse=True):
        if (why := problem(update, folders[update])) is None:
            return Found(update, checkpoints, damaged)
        damaged.append(Damaged(update, folders[update], why))
    if damaged:
        raise UsageError(
            f"{damaged[0].folder.parent}: no checkpoint can be read ({damaged[0].problem}); restore one, or begin again with "
            "--overwrite"
        )
    return Found(0, checkpoints)
