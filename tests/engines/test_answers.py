"""How questions become calls of the rollout worker: batches of one shape, and a stream of noise for each."""

import contextlib
import itertools
from types import SimpleNamespace

from tunix.rl.rollout.base_rollout import RolloutConfig

from cal_grpo.engines.tunix.rollouts.answering import answers
from cal_grpo.grading import Grade
from cal_grpo.tasks import Example

SETTINGS = RolloutConfig(temperature=0.7, top_p=0.9, top_k=5, max_tokens_to_generate=3, eos_tokens=[0])


class Rollout:
    """Answers a prompt with its number, and keeps how it was asked. The answer to an odd number is cut off."""

    def __init__(self):
        self.calls = []

    def generate(self, prompts, settings):
        self.calls.append((list(prompts), settings))
        tokens = [[7, 7, int(prompt) % 2] for prompt in prompts]
        return SimpleNamespace(text=[f"#### {prompt}" for prompt in prompts], tokens=tokens)


class Mesh(contextlib.nullcontext):
    """Stands for devices that share a batch."""

    def __init__(self, fsdp):
        super().__init__()
        self.shape = {"fsdp": fsdp, "tp": 1}


def run(questions, batch_size, fsdp=1, **keywords):
    rollout, done = Rollout(), []
    pairs = [(str(i), Example(f"q{i}", str(i), "")) for i in range(questions)]
    batches = list(answers(rollout, Mesh(fsdp), SETTINGS, pairs, batch_size, on_done=done.append, **keywords))
    return batches, rollout.calls, done


def test_every_answer_meets_its_own_question():
    batches, _, done = run(5, 2, samples=3)
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert [answered.example.answer for batch in batches for answered in batch] == list("01234")
    for answered in itertools.chain(*batches):
        assert len(answered.samples) == 3
        assert all(answer.grade.correct for answer in (answered.greedy, *answered.samples))
        odd = int(answered.example.answer) % 2 == 1
        assert {answer.truncated for answer in (answered.greedy, *answered.samples)} == {odd}
    assert done[-1] == 5 * 4
    assert done == sorted(done)


def test_the_tasks_grader_decides():
    def by_length(response, example):
        return Grade(len(response) == 6 and example.question != "q1", response, example.answer, "text")

    batches, _, _ = run(3, 2, samples=1, grade=by_length)
    assert [answered.greedy.grade.correct for batch in batches for answered in batch] == [True, False, True]
    assert [one.grade.correct for batch in batches for answered in batch for one in answered.samples] == [True, False, True]


def test_the_mesh_divides_every_call():
    batches, calls, done = run(5, 3, fsdp=2)
    assert [len(prompts) for prompts, _ in calls] == [4, 4]
    assert [answered.example.answer for batch in batches for answered in batch] == list("01234")
    assert done[-1] == 5


def test_calls_of_a_kind_have_one_shape():
    _, calls, _ = run(5, 4, samples=3)
    greedy = [prompts for prompts, settings in calls if settings.top_p is None]
    sampled = [prompts for prompts, settings in calls if settings.top_p is not None]
    assert greedy == [list("0123"), list("4444")]
    assert sampled == [list("0001"), list("1122"), list("2333"), list("4444")]
    _, calls, _ = run(2, 16, samples=3)
    assert [len(prompts) for prompts, _ in calls] == [2, 6]


def test_greedy_is_greedy_and_samples_are_drawn_as_in_training():
    _, calls, _ = run(2, 2, samples=1)
    (_, greedy), (_, sampled) = calls
    assert (greedy.top_p, greedy.top_k, greedy.temperature) == (None, None, 0.0)
    assert (sampled.top_p, sampled.top_k, sampled.temperature) == (0.9, 5, 0.7)


def test_each_call_has_noise_of_its_own_by_seed_and_place():
    def seeds(seed):
        return [settings.seed for _, settings in run(4, 2, samples=4, seed=seed)[1] if settings.top_p is not None]

    assert len(set(seeds(0))) == len(seeds(0)) == 8
    assert seeds(0) == seeds(0)
    assert not set(seeds(0)) & set(seeds(1))


def test_without_samples_there_are_only_greedy_calls():
    batches, calls, done = run(3, 2)
    assert len(calls) == 2
    assert done == [2, 3]
    assert batches[0][0].samples == []
    assert run(0, 2) == ([], [], [])
