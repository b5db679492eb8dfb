"""A run that is killed loses no paid verdict but those in flight."""

import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from _judge_server import answer, verdict

RUN = """
import sys
from cal_grpo.oracles import CALOracle, Query

protocol, url, cache = sys.argv[1:]
with CALOracle(protocol, model="m", base_url=url, api_key="k" * 20, cache=cache, concurrency=8) as oracle:
    verdicts = oracle.locate([Query(f"q{i}", "r", f"response {i}") for i in range(200)])
    print(sum(v.tag == "found" for v in verdicts), sum(v.cached for v in verdicts))
"""


@pytest.mark.parametrize("protocol", ["openai", "gemini"])
def test_kill_9_in_the_middle_of_200_paid_calls(server, protocol, tmp_path):
    server.script = lambda r: answer(r, verdict(r.response), latency_s=0.03)
    command = [sys.executable, "-c", RUN, protocol, getattr(server, protocol), str(tmp_path / "c.db")]
    killed = subprocess.Popen(command)
    while len(server.requests) < 80:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, cached = map(int, done.stdout.split())
    assert found == 200
    assert cached >= 80 - 8
    paid = Counter(r.response for r in server.requests)
    assert len(paid) == 200
    assert sum(n - 1 for n in paid.values()) <= 8
    before = len(server.requests)
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout.split() == ["200", "200"]
    assert len(server.requests) == before  # a finished run repeated with its cache: no call
