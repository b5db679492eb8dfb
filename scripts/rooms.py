"""The rooms of the package and who imports whom, read from the code's own imports.

    python scripts/rooms.py                            every arrow, as text
    python scripts/rooms.py --draw docs/figures/rooms.svg   the picture in docs/architecture.md

A room is a folder, or a module of `src/cal_grpo/` that lies beside the folders. A name that is imported from a folder counts
as imported from the file that the folder's `__init__` takes it from. Imports for the type checker count too. An arrow that
follows from two others is not drawn.
"""

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"
PACKAGE = "cal_grpo"
EVERYWHERE = frozenset(
    {"errors", "extras", "files", "hub", "interrupts", "intervals", "jsonlines", "plugins", "policies", "processes"}
)  # small, used by all: not drawn
LATE = ("oracles", "engines")  # the oracle `local` is an engine's, and loaded only where it is asked for

Graph = dict[str, set[str]]


@dataclass(frozen=True)
class Import:
    """One name that a file takes from another.

    Attributes:
        file, target: dotted modules of the package; ``target`` is where the name is defined.
        door: the module that the import statement names.
        name: what is imported.
        late: inside a function.
    """

    file: str
    target: str
    door: str
    name: str
    late: bool


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; a folder has its ``__init__``'s path."""
    found = {}
    for path in sorted((SRC / PACKAGE).rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(of: Mapping[str, Path] | None = None) -> list[Import]:
    """Every import of the package's own modules."""
    where = dict(of or modules())
    raw = {name: _statements(path) for name, path in where.items()}
    homes = {name: {bound: f"{door}.{got}" if f"{door}.{got}" in where else door for door, got, bound, _ in raw[name]}
             for name, path in where.items() if path.name == "__init__.py"}  # fmt: skip
    lazy = {name: _lazy_homes(path, name) for name, path in where.items() if path.name == "__init__.py"}

    def home(door: str, name: str) -> str:
        if f"{door}.{name}" in where:
            return f"{door}.{name}"
        seen = set()
        while door in homes and door not in seen:
            seen.add(door)
            following = homes[door].get(name) or lazy[door].get(name)
            if following is None or following == door:
                break
            door = following
        return door

    return [
        Import(file, home(door, name), door, name, late)
        for file, statements in raw.items()
        for door, name, _, late in statements
        if door in where
    ]


def _statements(path: Path) -> list[tuple[str, str, str, bool]]:
    """(module, name, name here, late) of every import in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    late = {id(inner) for function in functions for inner in ast.walk(function)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [(node.module, alias.name, alias.asname or alias.name, id(node) in late) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "", alias.asname or alias.name, id(node) in late) for alias in node.names]
    return found


def _lazy_homes(path: Path, package: str) -> dict[str, str]:
    """The names that an ``__init__`` imports when they are first used: its table ``_HOMES``."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
        if "_HOMES" in targets and isinstance(node, ast.Assign):
            return {name: f"{package}.{module}" for name, module in ast.literal_eval(node.value).items()}
    return {}


def file_graph(found: Iterable[Import]) -> Graph:
    """Which file imports which; a folder's ``__init__`` is left out, for it only hands on."""
    inits = {name for name, path in modules().items() if path.name == "__init__.py"}
    graph: Graph = defaultdict(set)
    for one in found:
        if one.file not in inits and one.target not in inits and one.file != one.target:
            graph[one.file].add(one.target)
    return graph


def room_graph(found: Iterable[Import], inside: str = PACKAGE) -> Graph:
    """Which of the rooms inside a package imports which; a file of the package itself is a room."""
    graph: Graph = {}
    for one in found:
        ends = [_room(end, inside) for end in (one.file, one.target)]
        if all(ends):
            graph.setdefault(ends[0] or "", set())
            if ends[0] != ends[1]:
                graph[ends[0] or ""].add(ends[1] or "")
    for targets in list(graph.values()):
        for target in targets:
            graph.setdefault(target, set())
    return graph


def _room(module: str, inside: str) -> str | None:
    if not module.startswith(f"{inside}."):
        return None
    return module.removeprefix(f"{inside}.").split(".")[0]


def circle(graph: Mapping[str, Iterable[str]]) -> list[str] | None:
    """Rooms that import each other in a ring, or None."""
    done: set[str] = set()

    def follow(node: str, path: list[str]) -> list[str] | None:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return None
        for target in sorted(graph.get(node, ())):
            if (ring := follow(target, [*path, node])) is not None:
                return ring
        done.add(node)
        return None

    return next((ring for node in sorted(graph) if (ring := follow(node, [])) is not None), None)


def reduced(graph: Graph) -> Graph:
    """Without the arrows that follow from others."""

    def reach(node: str) -> set[str]:
        return {node}.union(*(reach(target) for target in graph[node]))

    return {
        node: {t for t in targets if not any(t in reach(other) for other in targets if other != t)}
        for node, targets in graph.items()
    }


# The picture

_BOX, _GAP, _ROW = (112, 34), 28, 92
_STYLE = """
svg { --ink: #1b1f24; --soft: #57606a; --box: #eef2f6; --ground: #ffffff; }
@media (prefers-color-scheme: dark) { svg { --ink: #e6e9ed; --soft: #9aa4af; --box: #232a33; --ground: #14181d; } }
text { font: 13px ui-monospace, monospace; fill: var(--ink); text-anchor: middle; }
rect.ground { fill: var(--ground); } rect.box { fill: var(--box); stroke: var(--soft); }
path { fill: none; stroke: var(--soft); stroke-width: 1.3; } marker path { fill: var(--soft); stroke: none; }
"""


def layers(graph: Graph) -> list[list[str]]:
    """Rooms by how far they are below those that nobody imports, these first; a room near those that import it."""
    importers: Graph = {node: {other for other in graph if node in graph[other]} for node in graph}
    depth: dict[str, int] = {}

    def of(node: str) -> int:
        if node not in depth:
            depth[node] = max((of(importer) + 1 for importer in importers[node]), default=0)
        return depth[node]

    rows: list[list[str]] = [[] for _ in range(max(map(of, graph), default=0) + 1)]
    for node in sorted(graph):
        rows[of(node)].append(node)
    place: dict[str, float] = {}
    for row in rows:
        row.sort(key=lambda node: (sum(place[one] for one in importers[node]) / max(len(importers[node]), 1), node))
        place.update({node: (i + 0.5) / len(row) for i, node in enumerate(row)})
    return rows


def draw(graph: Graph, title: str) -> str:
    """The rooms as an SVG document; what imports stands above what it imports."""
    rows = layers(graph)
    width = (max(len(row) for row in rows) + 1) * (_BOX[0] + _GAP) + _GAP
    height = len(rows) * _ROW + 16
    at = {}
    for level, row in enumerate(rows):
        for i, node in enumerate(row):
            at[node] = (round(width / 2 + (i - (len(row) - 1) / 2) * (_BOX[0] + 2 * _GAP)), 24 + level * _ROW)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker></defs>',
        f'<rect class="ground" width="{width}" height="{height}"/>',
    ]
    for node in sorted(graph):
        x, y = at[node]
        for target in sorted(graph[node]):
            to_x, to_y = at[target]
            down = (to_y - y) / 2
            # An arrow over several rows goes round the boxes between, on the side that is nearer to the edge.
            aside = 1.3 * (_BOX[0] + _GAP) * (-1 if x <= width / 2 else 1) if to_y - y > _ROW else 0
            parts.append(f'<path marker-end="url(#tip)" d="M{x} {y + _BOX[1]}C{x + aside:g} {y + down + 20:g} '
                         f'{to_x + aside:g} {to_y - down + 10:g} {to_x} {to_y - 2}"/>')  # fmt: skip
    for node, (x, y) in at.items():
        parts.append(f'<rect class="box" x="{x - _BOX[0] / 2:g}" y="{y}" width="{_BOX[0]}" height="{_BOX[1]}" rx="6"/>')
        parts.append(f'<text x="{x}" y="{y + 22}">{escape(node)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def drawn_graph() -> Graph:
    """The rooms of the picture: without what everybody uses, and without the one late import."""
    graph = room_graph(imports())
    kept = {node for node in graph if node not in EVERYWHERE and not node.startswith("_")}
    graph = {node: {t for t in targets if t in kept and (node, t) != LATE} for node, targets in graph.items() if node in kept}
    return reduced(graph)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", type=Path, metavar="FILE.svg", help="write the picture")
    args = parser.parse_args()
    if args.draw is not None:
        args.draw.write_text(draw(drawn_graph(), "The rooms of cal_grpo and who imports whom"), encoding="utf-8")
        print(args.draw)
        return
    for inside in (PACKAGE, f"{PACKAGE}.oracles", f"{PACKAGE}.engines.tunix"):
        print(inside)
        for room, targets in sorted(room_graph(imports(), inside).items()):
            print(f"  {room:14} -> {', '.join(sorted(targets)) or '-'}")


if __name__ == "__main__":
    main()
