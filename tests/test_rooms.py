"""The house's rules, held against the code's own imports (``scripts/rooms.py`` reads them)."""

import ast
import statistics
from pathlib import Path

import pytest
from rooms import LATE, PACKAGE, circle, draw, drawn_graph, file_graph, imports, modules, room_graph

ROOT = Path(__file__).parents[1]
FOUND = imports()
CORE = {"grading", "oracles", "alignment", "credit", "tasks"}
FOLDERS = sorted(name for name, path in modules().items() if path.name == "__init__.py")


def test_no_two_files_import_each_other():
    assert circle(file_graph(FOUND)) is None


@pytest.mark.parametrize("inside", FOLDERS)
def test_no_rooms_import_each_other(inside):
    graph = room_graph(FOUND, inside)
    if inside == PACKAGE:  # see below
        graph[LATE[0]].discard(LATE[1])
    assert circle(graph) is None


def test_the_core_imports_no_engine_but_for_the_oracle_local_late_and_in_one_line():
    found = [one for one in FOUND if one.file.split(".")[1:2] and one.file.split(".")[1] in CORE and ".engines" in one.door]
    assert [(one.name, one.late) for one in found] == [("local_judge", True)]


def test_nobody_imports_the_command_line_or_the_runs():
    for one in FOUND:
        above = one.target.split(".")[1:2]
        if above == ["cli"]:
            assert one.file.split(".")[1] in ("cli", "__main__"), one
        if above == ["runs"]:
            assert one.file in (PACKAGE, *(m for m in modules() if m.split(".")[1:2] in (["cli"], ["runs"]))), one


def test_runs_know_the_contract_and_no_engine():
    assert not [one for one in FOUND if one.file.startswith(f"{PACKAGE}.runs") and one.door.startswith(f"{PACKAGE}.engines.")]


def test_a_room_is_entered_through_its_door():
    for one in FOUND:
        room = one.door if one.door in FOLDERS else one.door.rpartition(".")[0]
        own = one.file if one.file in FOLDERS else one.file.rpartition(".")[0]
        beside_or_above = own == room or own.startswith(f"{room}.") or one.door in FOLDERS
        below = one.file in FOLDERS and room.startswith(own)  # an __init__ hands on what its files have
        assert beside_or_above or below, f"{one.file} imports {one.name} from the inside of {room}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_room_says_what_question_it_answers(folder):
    docstring = ast.get_docstring(ast.parse(modules()[folder].read_text())) or ""
    if folder not in (PACKAGE, f"{PACKAGE}.cli", f"{PACKAGE}.policies"):
        assert "?" in docstring.splitlines()[0], folder


def test_rooms_and_files_keep_their_size():
    files = [path for path in modules().values() if path.name != "__init__.py"]
    lines = [len(path.read_text().splitlines()) for path in files]
    assert max(lines) <= 300, [path.name for path, count in zip(files, lines, strict=True) if count > 300]
    assert statistics.median(lines) < 100
    for folder in FOLDERS:
        assert len(list(modules()[folder].parent.glob("*.py"))) <= 15, folder


def test_the_picture_is_of_the_code_as_it_is():
    picture = (ROOT / "docs" / "figures" / "rooms.svg").read_text()
    assert picture == draw(drawn_graph(), "The rooms of cal_grpo and who imports whom"), (
        "python scripts/rooms.py --draw it anew"
    )


def test_a_ring_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None
