"""Browsing rollouts with keys. The state and what a key does to it; the terminal itself is ``inspect``'s."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cal_grpo.cli.screen.rollout_view import rollout_text
from cal_grpo.cli.screen.words import printable
from cal_grpo.seeing import Rollout

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SHOWS = ("all", "wrong", "right", "blamed", "missed")
_KEYS = {
    "n": "next", "\x1b[C": "next", " ": "next", "p": "previous", "\x1b[D": "previous",
    "]": "next_step", "\x1b[6~": "next_step", "[": "previous_step", "\x1b[5~": "previous_step",
    "j": "down", "\x1b[B": "down", "k": "up", "\x1b[A": "up", "d": "page_down", "u": "page_up",
    "f": "filter", "g": "jump", "/": "find", "?": "help", "h": "help",
    "q": "quit", "\x1b": "quit", "\x03": "quit", "\x04": "quit",
}  # fmt: skip
_HELP = """n → space   next rollout            p ←   previous rollout
] PageDown  next step               [ PageUp   previous step
j k ↓ ↑     scroll                  d u   scroll half a screen
f           show all, wrong, right, blamed or missed ones
g           jump: a step, or step and row, such as 12 or 12.3
/           find a text in questions, responses and critiques; nothing finds all
q           quit                    ?     this help

Colours are advantages: blue is pushed up, red is pushed down, the stronger the further. Underlined is the oracle's quote."""


def shows(rollout: Rollout, show: str, find: str = "") -> bool:
    """Whether a rollout is of the kind ``show`` and holds the text ``find``, upper and lower case alike."""
    kind = {
        "all": True, "right": rollout.correct, "wrong": not rollout.correct, "blamed": rollout.span is not None,
        "missed": rollout.verdict is not None and rollout.span is None,
    }[show]  # fmt: skip
    if not kind or not find:
        return kind
    critique = rollout.verdict.critique if rollout.verdict is not None else ""
    return any(find.casefold() in text.casefold() for text in (rollout.question, rollout.response, critique))


class Browser:
    """Where a person is among the rollouts.

    Args:
        name: of the run.
        rollouts: in order, at least one.
        at: index of the first one to show.
        show, find: see ``shows``.
    """

    def __init__(self, name: str, rollouts: Sequence[Rollout], at: int = 0, show: str = "all", find: str = "") -> None:
        self.name, self.rollouts, self.show, self.find = name, rollouts, show, find
        self.at, self.top = at, 0
        self.message = ""
        self.prompt: str | None = None  # "jump" or "find" while a line is typed
        self.typed = ""
        self.helping = self.done = False
        self.scale = max((abs(a) for r in rollouts for a, _ in r.advantages if abs(a) < float("inf")), default=0) or 1.0
        self._select()

    @property
    def rollout(self) -> Rollout | None:
        """The one that is shown; None where the filter leaves none."""
        return self.rollouts[self.at] if self.kept else None

    def press(self, key: str, height: int = 24) -> None:
        """Do what a key asks for. ``height`` is the screen's, in lines."""
        self.message = ""
        if self.prompt is not None:
            self._type(key)
        elif self.helping:
            self.helping = False
        else:
            self._do(_KEYS.get(key, ""), max(1, height // 2))

    def _do(self, action: str, half: int) -> None:
        if action in ("next", "previous"):
            self._move(1 if action == "next" else -1)
        elif action in ("next_step", "previous_step"):
            self._move_step(1 if action == "next_step" else -1)
        elif action in ("down", "up", "page_down", "page_up"):
            self.top += {"down": 1, "up": -1, "page_down": half, "page_up": -half}[action]
            self.top = max(0, self.top)
        elif action == "filter":
            self.show = SHOWS[(SHOWS.index(self.show) + 1) % len(SHOWS)]
            self._select()
        elif action in ("jump", "find"):
            self.prompt, self.typed = action, ""
        elif action == "help":
            self.helping = True
        elif action == "quit":
            self.done = True

    def _type(self, key: str) -> None:
        if key in ("\r", "\n"):
            prompt, self.prompt = self.prompt, None
            if prompt == "find":
                self.find = self.typed
                self._select()
            else:
                self._jump(self.typed)
        elif key in ("\x1b", "\x03"):
            self.prompt = None
        elif key in ("\x7f", "\b"):
            self.typed = self.typed[:-1]
        elif key.isprintable():
            self.typed += key

    def _select(self) -> None:
        """Apply the filter; stay here, or go to the next one that it keeps."""
        self.kept = [i for i, rollout in enumerate(self.rollouts) if shows(rollout, self.show, self.find)]
        if self.kept and self.at not in self.kept:
            self._go(next((i for i in self.kept if i > self.at), self.kept[-1]))

    def _move(self, by: int) -> None:
        if not self.kept:
            return
        place = self.kept.index(self.at) + by
        if 0 <= place < len(self.kept):
            self._go(self.kept[place])
        else:
            self.message = "that was the last one" if by > 0 else "that was the first one"

    def _move_step(self, by: int) -> None:
        if not self.kept:
            return
        steps = sorted({self.rollouts[i].step for i in self.kept})
        place = steps.index(self.rollouts[self.at].step) + by
        if 0 <= place < len(steps):
            self._jump(str(steps[place]))
        else:
            self.message = "that was the last step" if by > 0 else "that was the first step"

    def _jump(self, typed: str) -> None:
        step, _, row = typed.strip().partition(".")
        if not (step.isdecimal() and (row.isdecimal() or not row)):
            self.message = f"got {typed!r}; expected a step, or step and row, such as 12 or 12.3" if typed.strip() else ""
            return
        wanted = (int(step), int(row or 1))
        places = [i for i in self.kept if (self.rollouts[i].step, self.rollouts[i].row) >= wanted]
        if not places:
            self.message = f"no rollout at {typed.strip()} or after it, with this filter"
            return
        self._go(places[0])
        found = self.rollouts[places[0]]
        if found.step != wanted[0] or (row and found.row != wanted[1]):
            self.message = f"nothing at {typed.strip()}; this is the next one"

    def _go(self, index: int) -> None:
        self.at, self.top = index, 0

    def screen(self, console: "Console") -> "RenderableType":
        """What fills a terminal: a line above, the rollout from line ``top`` on, a line below."""
        from rich.console import Group
        from rich.text import Text

        width, height = console.size
        body = Text(_HELP) if self.helping else self._body(marked=console.no_color or console.color_system is None)
        options = console.options.update(width=width, height=None)
        lines = console.render_lines(body, options, pad=False)
        room = max(1, height - 3)
        self.top = max(0, min(self.top, len(lines) - room))
        shown = lines[self.top : self.top + room]
        rest = len(lines) - self.top - len(shown)
        out = Text("\n").join(Text.assemble(*((part.text, part.style or "") for part in line)) for line in shown)
        out.append("\n" * (room - len(shown)))
        head, foot = self._head(width), self._foot(width, rest)
        return Group(head, Text("─" * width, style="dim"), out, foot) if height > 3 else head

    def _body(self, marked: bool) -> "RenderableType":
        from rich.text import Text

        if self.rollout is None:
            return Text("no rollout is left with this filter; f shows others, / and Enter finds all", style="yellow")
        return rollout_text(self.rollout, marked, self.scale)

    def _head(self, width: int) -> "RenderableType":
        from rich.text import Text

        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(printable(self.name), style="bold")
        if self.rollout is not None:
            text.append(f"  step {self.rollout.step}, row {self.rollout.row}")
            text.append(f"  {self.kept.index(self.at) + 1:,} of {len(self.kept):,}", style="dim")
        text.append(f"  {self.show}", style="cyan" if self.show != "all" else "dim")
        if self.find:
            text.append(f"  /{printable(self.find)}", style="cyan")
        text.truncate(width)
        return text

    def _foot(self, width: int, rest: int) -> "RenderableType":
        from rich.text import Text

        if self.prompt is not None:
            text = Text(f"{'jump to step' if self.prompt == 'jump' else 'find'}: {printable(self.typed)}▏", style="bold")
        elif self.message:
            text = Text(printable(self.message), style="yellow")
        else:
            text = Text("n next  p back  ] [ step  f filter  g jump  / find  ? help  q quit", style="dim")
            text = Text(f"↓ {rest} lines  ", style="bold").append_text(text) if rest > 0 else text
        text.truncate(width)
        text.end = ""
        return text
