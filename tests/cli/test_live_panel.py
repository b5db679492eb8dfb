"""What a person at a terminal sees of a training: this program's lines and nobody else's."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
_OURS = re.compile(
    r"CAL-GRPO embedded on ledger|on cpu, writing run|starting|reading the task|loading the policy|evaluating (before|after) "
    r"training|training [━╸╺ ]|saving the policy|held-out accuracy|training accuracy|wrong answers|updates|time|cut off|on  |"
    r"95 % interval|run folder|to see it|cal-grpo inspect|! "
)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What two updates of the embedded policy write to a terminal of 80 columns and 24 lines."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    small = {"num_train_steps": 2, "batch_size": 1, "num_generations": 2, "max_eval_samples": 2, "max_train_samples": 4}
    sets = [word for key, value in small.items() for word in ("--set", f"{key}={value}")]
    unset = ("TQDM_DISABLE", "NO_COLOR", "CUDA_VISIBLE_DEVICES")
    with subprocess.Popen(
        [sys.executable, "-m", "cal_grpo", "train", "--output", "run", *sets],
        stdin=follower, stdout=follower, stderr=follower, cwd=tmp_path_factory.mktemp("terminal"), start_new_session=True,
        env={**{k: v for k, v in os.environ.items() if k not in unset}, "TERM": "xterm-256color", "JAX_PLATFORMS": "cpu"},
    ) as training:  # fmt: skip
        os.close(follower)
        written = b""
        while True:
            try:
                got = os.read(leader, 65536)
            except OSError:  # Linux, when nobody is left to write
                break
            if not got:
                break
            written += got
        os.close(leader)
        assert training.wait() == 0, written.decode()[-2000:]
    return written.decode()


def test_no_line_of_a_third_party_is_on_the_screen(seen):
    lines = [line.strip() for line in re.split(r"[\r\n]+", _ESCAPE.sub("", seen))]
    assert [line for line in lines if line and not _OURS.match(line)] == []
    assert sum(line.startswith("CAL-GRPO") for line in lines) > 2


def test_the_panel_names_device_folder_and_accuracy_and_the_end_says_what_to_do_next(seen):
    text = _ESCAPE.sub("", seen)
    assert "on cpu, writing run" in text
    assert re.search(r"held-out accuracy \d+\.\d% before training", text)
    assert re.search(r"training [━╸╺]+ 1/2 \d+:\d\d left", text)
    assert re.search(r"tokens/s [1-9]", text)
    assert "tokens/s 0" not in text
    ending = text[text.rindex("held-out accuracy") :]
    assert "cal-grpo report run " in ending
    assert "cal-grpo inspect run " in ending
    assert "calls" not in ending  # of a free oracle
