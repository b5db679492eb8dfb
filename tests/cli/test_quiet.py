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
