"""What a person should not miss, beside a command's JSON."""

import sys

from cal_grpo.errors import one_line
from cal_grpo.processes import leads
from cal_grpo.runs import Watcher


class Notes(Watcher):
    """A line on stderr for each note, and nothing else."""

    def note(self, text: str) -> None:
        if leads():
            print(f"cal-grpo: {one_line(text)}", file=sys.stderr, flush=True)
