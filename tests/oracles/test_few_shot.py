import json

import pytest

from cal_grpo.errors import UsageError
from cal_grpo.oracles.judges.few_shot import load_few_shot

SHOT = {"question": "1+1?", "correct_solution": "1+1=2", "incorrect_solution": "so 1+1=3", "error_segment": "1+1=3"}


def write(tmp_path, content):
    file = tmp_path / "shots.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_examples_load_with_their_hint(tmp_path):
    shot = load_few_shot(write(tmp_path, [SHOT | {"critique": "it is 2"}]))[0]
    assert (shot.error_segment, shot.critique, shot.hint) == ("1+1=3", "it is 2", "so ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ({}, "holds a dict; expected a list"),
        (["x"], "item 1: a str; expected an object"),
        ([SHOT, {k: v for k, v in SHOT.items() if k != "question"}], "item 2: question is None; expected text"),
        ([SHOT | {"question": " "}], "item 1: question is ' '; expected text"),
        ([SHOT | {"critique": 5}], "item 1: critique is 5; expected text"),
        ([SHOT | {"error_segment": "1+1=4"}], "item 1: error_segment is not in incorrect_solution"),
        ([SHOT | {"segment": "x"}], "item 1: unknown field 'segment'"),
    ],
)
def test_a_bad_file_is_one_line_with_the_items_number(tmp_path, content, message):
    with pytest.raises(UsageError, match=message) as error:
        load_few_shot(write(tmp_path, content))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read as JSON"):
        load_few_shot(tmp_path / "nowhere.json")
