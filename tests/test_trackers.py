"""Where metrics go: TensorBoard's events as they lie there, and the services as stand-ins that keep their calls.

The stand-ins have the parts of wandb 0.31 and trackio 0.43 that are called.
"""

import importlib
import sys

import pytest

from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.runs.trackers import trackers_of

ROWS = [{"step": step, "loss": step / 2, "kl": None, "cal/asked": 3, "seconds": 1.0} for step in (1, 2, 3)]
LOGGED = [({"loss": step / 2, "cal/asked": 3, "seconds": 1.0}, step) for step in (1, 2, 3)]

STAND_IN = """
import types
calls, mode, key = [], "online", None

class Run:
    def log(self, metrics, step):
        calls.append((metrics, step))
    def finish(self, **how):
        print("finished")
        calls.append(("finish", how))

def setup():
    return types.SimpleNamespace(settings=types.SimpleNamespace(mode=mode))

def login(prompt):
    assert not prompt
    if key == "no network":
        raise OSError("no route to host")
    return key is not None

def init(**how):
    print("welcome")
    calls.append(("init", how))
    return Run()
"""


@pytest.fixture
def service(monkeypatch, tmp_path):
    """``service("wandb")``: a module of that name that keeps its calls."""

    def install(name):
        (tmp_path / "path").mkdir()
        (tmp_path / "path" / f"{name}.py").write_text(STAND_IN)
        monkeypatch.syspath_prepend(tmp_path / "path")
        monkeypatch.delitem(sys.modules, name, raising=False)
        module = importlib.import_module(name)
        monkeypatch.setitem(sys.modules, name, module)  # taken out again at the end
        return module

    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return install


def follow(tracker, run, past=0, summary=None):
    """A run of three updates, so many of which a run before had made."""
    run.mkdir(exist_ok=True)
    tracker.on_start(run, TrainConfig(seed=3), ROWS[:past])
    for row in ROWS[past:]:
        tracker.on_update(row)
    tracker.on_end(summary)


def events(folder, name):
    """(step, value) of every event of a name in all of a folder's files, as they lie there."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in sorted(folder.iterdir()):
        data, at = file.read_bytes(), 0
        while at < len(data):
            length = int.from_bytes(data[at : at + 8], "little")
            event = Event.FromString(data[at + 12 : at + 12 + length])
            found += [(event.step, value.simple_value) for value in event.summary.value if value.tag == name]
            at += 12 + length + 4
    return found


@pytest.mark.parametrize("past", [0, 2])
def test_tensorboard_has_each_update_once_though_a_run_was_cut_back(tmp_path, past):
    run = tmp_path / "run"
    follow(*trackers_of(["tensorboard"]), run)  # its third update is made again, if past is 2
    follow(*trackers_of(["tensorboard"]), run, past)
    assert events(run / "tensorboard", "loss") == [(1, 0.5), (2, 1.0), (3, 1.5)]
    assert events(run / "tensorboard", "cal/asked") == [(1, 3.0), (2, 3.0), (3, 3.0)]
    assert events(run / "tensorboard", "kl") == events(run / "tensorboard", "step") == []


@pytest.mark.parametrize("past", [0, 2])
@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_service_gets_the_names_and_numbers_of_the_metrics_once_each(service, tmp_path, capsys, name, past):
    module = service(name)
    module.mode = "offline"
    follow(*trackers_of([name]), tmp_path / "run", past, summary={"steps": 3})
    (_, begun), *logged, (_, finished) = module.calls
    assert logged == LOGGED
    assert (begun["project"], begun["name"], begun["config"]["seed"]) == ("cal-grpo", "run", 3)
    if name == "wandb":
        assert begun["dir"] == str(tmp_path / "run")
        assert finished == {"exit_code": 0}
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "welcome\nfinished\n")  # stdout is for --json


def test_wandb_hears_of_a_failure_and_its_project_can_be_named(service, tmp_path, monkeypatch):
    module = service("wandb")
    module.key = "k"
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    follow(*trackers_of(["wandb"]), tmp_path / "run")
    assert module.calls[0][1]["project"] == "mine"
    assert module.calls[-1] == ("finish", {"exit_code": 1})


@pytest.mark.parametrize(("key", "message"), [(None, "got no key; set WANDB_API_KEY"), ("no network", "no route to host")])
def test_wandb_without_a_key_is_one_line(service, key, message):
    service("wandb").key = key
    with pytest.raises(UsageError, match=f"^tracker 'wandb' .*{message}.*WANDB_MODE=offline$"):
        trackers_of(["wandb"])


def test_a_tracker_that_was_never_started_ends_well(service):
    service("trackio")
    for tracker in trackers_of(["tensorboard", "trackio"]):
        tracker.on_end(None)
