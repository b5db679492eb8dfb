"""Libraries say nothing on our screen, not even while they are imported."""

import os
import subprocess
import sys

import pytest

_IMPORT = "import sys; sys.modules['torch'] = None; {}import transformers; transformers.AutoTokenizer"


@pytest.mark.parametrize("quiet", [False, True])
def test_transformers_says_nothing_of_a_missing_pytorch(quiet):
    hush = "from cal_grpo.cli.screen import quiet_third_parties; quiet_third_parties(); " if quiet else ""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRANSFORMERS_", "HF_"))}
    said = subprocess.run(
        [sys.executable, "-c", _IMPORT.format(hush)], capture_output=True, text=True, check=True, env=environment
    )
    assert ("PyTorch was not found" in said.stdout + said.stderr) is not quiet
    assert not quiet or said.stdout + said.stderr == ""


_UNFETCHED = """
import asyncio, gc
from cal_grpo.cli.screen import quiet_third_parties

quiet_third_parties()

def failing(file):
    names = {}
    exec(compile("async def fail():\\n    raise OSError(28, 'full')", file, "exec"), names)
    return names["fail"]()

async def main():
    for file in ("/lib/orbax/checkpoint/serialization.py", "/home/ours.py"):
        asyncio.ensure_future(failing(file))
    await asyncio.sleep(0.01)

asyncio.run(main())
gc.collect()
"""


def test_of_errors_that_nobody_fetched_those_of_a_checkpoints_other_arrays_are_not_shown():
    said = subprocess.run([sys.executable, "-c", _UNFETCHED], capture_output=True, text=True, check=True).stderr
    assert said.count("Traceback") == 1
    assert "/home/ours.py" in said
    assert "orbax" not in said


_WITHOUT_FRAMES = """
import asyncio, gc
from cal_grpo.cli.screen import quiet_third_parties

quiet_third_parties()

async def async_serialize_from_host():
    async def write_fragment(): ...
    return write_fragment()

async def main():
    for said in ("RESOURCE_EXHAUSTED: Failed writing x [OS error 28: ENOSPC No space left on device]", "something else"):
        asyncio.get_running_loop().create_future().set_exception(ValueError(said))  # as tensorstore does, from C++
    del said
    (await async_serialize_from_host())

asyncio.run(main())
gc.collect()
"""


def test_nor_are_those_that_come_without_frames_where_the_disk_is_full():
    said = subprocess.run([sys.executable, "-c", _WITHOUT_FRAMES], capture_output=True, text=True, check=True).stderr
    assert "something else" in said
    assert "No space left" not in said
    assert "never awaited" not in said
