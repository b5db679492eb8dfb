"""JSON Lines that are whole, cut off, hostile or in another encoding."""

import json
import os
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.errors import UsageError
from cal_grpo.jsonlines import JSONLWriter, read_jsonl_strictly, read_jsonl_with_notes, scan_jsonl


@pytest.fixture
def written(tmp_path):
    def write(data):
        file = tmp_path / "rows.jsonl"
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
        return file

    return write


def strictly(file, **options):
    return list(read_jsonl_strictly(file, "data", "question and answer", **options))


def test_every_line_has_its_number_its_size_and_an_object_or_why_it_has_none(written):
    file = written(b'{"a": 1}\n\n[1]\n{"a"\r\n\xff\n{"a": 2}\r\n{"b')
    found = list(scan_jsonl(file))
    assert [(line.number, line.size, line.ended, line.row, line.fault) for line in found] == [
        (1, 9, True, {"a": 1}, None),
        (2, 1, True, None, "blank"),
        (3, 4, True, None, "value"),
        (4, 6, True, None, "syntax"),
        (5, 2, True, None, "bytes"),
        (6, 10, True, {"a": 2}, None),
        (7, 3, False, None, "syntax"),
    ]
    assert [line.torn for line in found] == [False] * 6 + [True]
    assert found[2].reason == "a list"
    assert found[4].reason == "cannot be read as UTF-8 text (byte 0xff at 0)"
    assert not any("\n" in line.reason for line in found)


@given(st.binary(max_size=300))
def test_no_bytes_make_reading_fail_and_the_sizes_add_up(tmp_path_factory, noise):
    file = tmp_path_factory.mktemp("noise") / "rows.jsonl"
    file.write_bytes(noise)
    for lenient in (False, True):
        found = list(scan_jsonl(file, lenient=lenient))
        assert sum(line.size for line in found) == len(noise)
        assert [line.number for line in found] == list(range(1, len(found) + 1))
        assert all((line.row is None) == bool(line.fault) == bool(line.reason) for line in found)


@given(st.lists(st.dictionaries(st.text(max_size=5), st.one_of(st.text(max_size=9), st.integers(), st.booleans()), max_size=3)))
def test_what_json_writes_is_read_back_with_and_without_a_last_newline(tmp_path_factory, rows):
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    for end in ("", "\n"):
        file.write_bytes((text + end).encode("utf-8", "surrogatepass"))
        assert [row for _, row in strictly(file)] == rows
        notes = []
        assert [row for _, row in read_jsonl_with_notes(file, notes)] == rows
        assert notes == []


def test_a_byte_order_mark_is_no_part_of_the_first_line(written):
    file = written(b'\xef\xbb\xbf{"a": 1}\n{"a": 2}')
    assert strictly(file) == [(1, {"a": 1}), (2, {"a": 2})]
    assert [line.size for line in scan_jsonl(file)] == [12, 8]


def test_half_a_surrogate_pair_is_kept_strictly_and_can_be_written_leniently(written):
    file = written(r'{"a \udc00": ["x \ud800 y", {"b": "\ud83e\udd89"}]}')
    assert strictly(file) == [(1, {"a \udc00": ["x \ud800 y", {"b": "🦉"}]})]
    notes = []
    ((_, row),) = read_jsonl_with_notes(file, notes)
    assert row == {"a �": ["x � y", {"b": "🦉"}]}  # one character for one: places in the text stay
    assert notes == []


def test_a_hook_keeps_how_numbers_were_spelt(written):
    file = written('{"a": 1.50, "b": 1e3, "c": 7, "d": [0.10]}')
    assert strictly(file, parse_float=str) == [(1, {"a": "1.50", "b": "1e3", "c": 7, "d": ["0.10"]})]
    assert strictly(file, parse_float=Decimal)[0][1]["a"] == Decimal("1.50")
    assert strictly(file)[0][1]["a"] == 1.5


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('{"a": 1}\nx\n', "line 2: not JSON (Expecting value at character 1); expected one JSON object a line"),
        ('{"a": 1}\n\n{"a', "line 3: not JSON (Unterminated string starting at at character 2), and the file ends there; exp"),
        ("[1]\n", "line 1: a list; expected an object with question and answer"),
        ('"a"', "line 1: a str; expected an object"),
        (b"\xff\xfe{\x00", "line 1: cannot be read as UTF-8 text (byte 0xff at 0)"),
        (b'{"a": "\xe9"}\n', "line 1: cannot be read as UTF-8 text (byte 0xe9 at 7)"),
        ("[" * 100_000, "line 1: not JSON (nested too deeply)"),
        ('{"a": ' + "9" * 5000 + "}", "line 1: not JSON (Exceeds the limit"),
    ],
)
def test_strictly_a_line_without_an_object_is_one_line_with_its_number(written, data, said):
    file = written(data)
    with pytest.raises(UsageError) as caught:
        strictly(file)
    assert str(caught.value).startswith(f"data {file}, {said}")
    assert "\n" not in str(caught.value)


def test_strictly_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"none\.jsonl: not found; expected a JSONL file with question and answer"):
        strictly(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match=r"cannot be read \(Is a directory\)"):
        strictly(tmp_path)


def test_with_notes_the_rest_is_kept_and_a_missing_file_has_nothing(written, tmp_path):
    notes, sizes = [], []
    file = written(b'{"a": "\xff"}\nx\n[1]\n\n{"a": 2}\n{"a')
    assert list(read_jsonl_with_notes(file, notes, sizes.append)) == [(1, {"a": "�"}), (5, {"a": 2})]
    assert notes == [
        "rows.jsonl: the last line is cut off and was left out; the run was stopped while it wrote",
        "rows.jsonl: 2 lines left out, first line 2: not a JSON object",
    ]
    assert sum(sizes) == file.stat().st_size
    assert list(read_jsonl_with_notes(tmp_path / "none.jsonl", notes)) == []
    with pytest.raises(UsageError, match=r"cannot be read \(Is a directory\)"):
        list(read_jsonl_with_notes(tmp_path, notes))


def test_a_long_file_is_read_a_line_at_a_time(written):
    lines = scan_jsonl(written('{"a": 1}\n' + "x\n" * 10))
    assert next(lines).row == {"a": 1}
    lines.close()


WRITE_UNTIL_FULL = """
import resource, signal, sys
from pathlib import Path
from cal_grpo.jsonlines import JSONLWriter

path, limit = Path(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (64, limit[1]))
with JSONLWriter(path) as writer:
    try:
        for number in range(100):
            writer.write({"n": number})
    except OSError:
        print(number, path.stat().st_size)
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    writer.write({"n": "again"})
"""


def test_a_line_is_there_whole_or_not_at_all(tmp_path):
    file = tmp_path / "a.jsonl"
    done = subprocess.run([sys.executable, "-c", WRITE_UNTIL_FULL, str(file)], capture_output=True, text=True)
    assert done.stdout == "7 63\n", done.stderr  # seven lines of nine bytes, and no byte of the eighth
    assert [line.row["n"] for line in scan_jsonl(file)] == [0, 1, 2, 3, 4, 5, 6, "again"]


def test_what_another_hand_cut_off_meanwhile_is_not_filled_up(tmp_path):
    file = tmp_path / "a.jsonl"
    with JSONLWriter(file) as writer:
        writer.write({"n": 1})
        os.truncate(file, 0)
        writer.write({"n": "\u00e9 \ud800"})
    assert file.read_bytes() == b'{"n": "\xc3\xa9 \\ud800"}\n'
    with JSONLWriter(file, ascii_only=True) as writer:
        writer.write({"n": "\u00e9"})
    assert file.read_bytes().splitlines()[1] == b'{"n": "\\u00e9"}'
