import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from cal_grpo.grading import grade_answer, worker


def test_expressions_are_compared_as_mathematics():
    assert grade_answer("\\boxed{x^2+2x+1}", "(x+1)^2").method == "math"
    assert worker.math_equal("\\sqrt{8}", "2\\sqrt{2}")
    assert not worker.math_equal("\\sqrt{8}", "2\\sqrt{3}")


def test_it_works_from_many_threads_at_once_and_pairs_replies_with_questions():
    results = {}

    def ask(i):
        results[i] = worker.math_equal(f"{i}+x", f"x+{i if i % 2 else i + 1}")

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: i % 2 == 1 for i in range(12)}


def test_a_process_killed_from_outside_is_started_again():
    assert worker.math_equal("x+1", "1+x")
    first = worker._process.pid
    os.kill(first, signal.SIGKILL)
    worker._process.wait()
    assert worker.math_equal("x+1", "1+x")
    assert worker._process.pid != first


def test_a_death_midway_says_nothing_about_the_answer(monkeypatch):
    assert worker.math_equal("x+1", "1+x")
    ask, deaths = worker._ask, [1]

    def ask_and_die(*arguments):
        if deaths:
            deaths.pop()
            os.kill(worker._process.pid, signal.SIGSTOP)  # so that it cannot answer before it is killed
            threading.Timer(0.1, os.kill, (worker._process.pid, signal.SIGKILL)).start()
        return ask(*arguments)

    monkeypatch.setattr(worker, "_ask", ask_and_die)
    assert worker.math_equal("x+2", "2+x")
    assert not deaths


def test_an_answer_over_the_time_limit_is_not_right_and_the_next_one_is_graded():
    assert worker.math_equal("x+1", "1+x")
    began = time.monotonic()
    assert not worker.math_equal("9^{9^{9^{9}}}", "3", time_limit_s=0.3)
    assert time.monotonic() - began < 5
    assert worker.math_equal("x+1", "1+x")


def test_a_process_that_cannot_start_is_an_error_not_a_grade(monkeypatch):
    worker._stop()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="did not start"):
        worker.math_equal("x", "y")


IN_A_FORK = """
import os, signal
from cal_grpo.grading import worker
assert worker.math_equal("x+1", "1+x")
first = worker._process.pid
with worker._lock:  # as another thread holds it
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(0 if worker.math_equal("x+1", "1+x") and worker._process.pid != first else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert worker.math_equal("x+2", "2+x")
assert worker._process.pid == first
"""

FORKED = """
import multiprocessing
from cal_grpo.grading import worker
assert worker.math_equal("x+1", "1+x")
pairs = [(f"{i}+x", f"x+{i + i % 2}") for i in range(12)]
with multiprocessing.get_context("fork").Pool(2) as pool:
    there = pool.starmap_async(worker.math_equal, pairs, chunksize=3)
    here = [worker.math_equal(*pair) for pair in pairs]
    assert there.get(timeout=60) == here == [i % 2 == 0 for i in range(12)]
"""


def run_alone(code):
    """In a process of its own: another test may have started JAX in this one, which is not to be forked."""
    forked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (forked.returncode, forked.stderr) == (0, "")


def test_a_fork_that_is_made_while_a_question_is_asked_has_a_process_of_its_own():
    run_alone(IN_A_FORK)


def test_forked_workers_and_their_parent_do_not_get_each_other_s_replies():
    run_alone(FORKED)


@pytest.mark.parametrize("name", ["sympy.py", "json.py", "latex2sympy2_extended.py", "fractions.py"])
def test_a_file_of_a_library_s_name_in_the_working_directory_is_not_that_library(tmp_path, monkeypatch, name):
    (tmp_path / name).write_text("raise SystemExit('not the library')")
    monkeypatch.chdir(tmp_path)
    worker._stop()
    assert grade_answer("\\boxed{x+1}", "1+x").correct


def test_importing_the_room_loads_no_sympy():
    code = "import sys, cal_grpo.grading, cal_grpo.tasks; print({'sympy', 'math_verify', 'datasets'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
