"""One run on TRL: the policy, the data as the policy reads it, training and evaluation."""

import contextlib
import itertools
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
import transformers
from datasets import Dataset
from transformers import PrinterCallback, ProgressCallback

from cal_grpo.config import EMBEDDED, TrainConfig
from cal_grpo.engines import Answer, Answers, Engine, OnCredit, OnMetrics, Parts, RewardFn, UpdateTally
from cal_grpo.engines.found import Found
from cal_grpo.engines.reading import fitting, passes, prompt_ids, prompts_of
from cal_grpo.engines.trl.answering import Generator, chunks
from cal_grpo.engines.trl.checkpoints import folder_of, newest_checkpoint, newest_finished
from cal_grpo.engines.trl.job import Job
from cal_grpo.engines.trl.policy import check_lora, load_policy, lora_config, save_adapter, save_policy
from cal_grpo.engines.trl.settings import model_settings, trl_settings
from cal_grpo.engines.trl.trainer import CALGRPOTrainer
from cal_grpo.engines.trl.updates import Updates
from cal_grpo.errors import UsageError
from cal_grpo.pipeline import Credited
from cal_grpo.policies import resolve_model
from cal_grpo.tasks import Example, graded, messages_for


class TRLEngine(Engine):
    """The contract on TRL: the policy on a device, its questions as messages, and the trainer once it has been started.

    In a job of several processes each has one; only the main process's is ever returned by ``open``, and what it is asked the
    others do along with it.
    """

    def __init__(self, config: TrainConfig, parts: Parts) -> None:
        self._config, self._parts, task = config, parts, parts.task
        transformers.utils.logging.disable_progress_bar()  # a run has a screen of its own
        transformers.utils.logging.set_verbosity_error()
        self._args = trl_settings(config)  # which starts the job's communication, once
        self._job = Job()
        self._folder = resolve_model(config.model_id)
        self._model, self._tokenizer = load_policy(self._folder, model_settings(config.trl))
        if config.lora.rank:
            check_lora(self._model, config.lora, self._folder)
        self._model.to(self._args.device)
        limit = config.rollout.max_prompt_tokens or task.prompt_tokens
        prompt_of = prompts_of(task, self._tokenizer, config.chat.template_arguments)
        training, skipped = fitting(task.train, self._tokenizer, limit, "training", prompt_of)
        self._asked, skipped_eval = fitting(task.eval, self._tokenizer, limit, "held-out", prompt_of)
        self._training = [example for _, example in training]
        self._shown = [prompt for prompt, _ in training]
        self.held_out = [example for _, example in self._asked]
        self.skipped = {"training": skipped, "held-out": skipped_eval}
        self.compile_s = 0.0
        self._trainer: CALGRPOTrainer | None = None
        self._made = 0
        self._tally: UpdateTally | None = None
        self._on_credit: OnCredit = _ignore
        self._on_metrics: OnMetrics = _ignore
        self._should_stop: Callable[[], bool] = lambda: False

    @classmethod
    def open(cls, config: TrainConfig, parts: Parts) -> Self:
        engine = cls(config, parts)
        engine._job.follow(engine)
        return engine

    @staticmethod
    def find_checkpoint(run_dir: Path) -> Found:
        return newest_checkpoint(run_dir)

    @property
    def device(self) -> str:
        where = next(self._model.parameters()).device
        kind = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
        return kind if self._job.processes == 1 else f"{self._job.processes} x {kind}"

    def start(self, run_dir: Path, on_credit: OnCredit, on_metrics: OnMetrics) -> None:
        self._on_credit, self._on_metrics = on_credit, on_metrics
        if size := self._config.rollout.micro_batch_size:
            warnings.warn(f"rollout.micro_batch_size={size} is passed over: TRL samples an update in one go", stacklevel=2)
        self._job.together(self, "_start", str(run_dir), newest_finished(run_dir))

    def _start(self, run_dir: str, made: int) -> None:
        config, self._run_dir, self._made = self._config, Path(run_dir), made
        self._args.output_dir = str(self._run_dir / "checkpoints")
        self._updates = updates = Updates(lambda row: self._on_metrics(row), lambda: self._should_stop())
        with _quiet(), _refusals():
            self._trainer = CALGRPOTrainer(
                self._model,
                [self._reward(function) for function in self._parts.reward_fns] or None,
                self._args,
                train_dataset=self._dataset(),
                processing_class=self._tokenizer,
                callbacks=[updates],
                peft_config=lora_config(config.lora) if config.lora.rank else None,
                oracle=self._parts.oracle,
                credit=self._parts.credit,
                grade=self._parts.task.grade,
                example_of=lambda row: self._training[row["example"]],
                on_credit=self._credited,
            )
        updates.trainer = self._trainer
        for callback in (PrinterCallback, ProgressCallback):  # a run has a screen of its own
            self._trainer.remove_callback(callback)
        # What DeepSpeed or FSDP keep in their own way is read when training begins.
        if made and not (self._trainer.is_deepspeed_enabled or self._trainer.is_fsdp_enabled):
            self._trainer._load_from_checkpoint(str(folder_of(self._run_dir, made)))

    def _dataset(self) -> Dataset:
        """The run's questions in the order in which they are asked, an update's after the other's."""
        config, task = self._config, self._parts.task
        rows = {
            "prompt": [messages_for(e, task.system, task.answer_format) for e in self._training],
            "question": [e.question for e in self._training],
            "answer": [e.answer for e in self._training],
            "reference": [e.reference for e in self._training],
            "example": list(range(len(self._training))),
        }
        order = passes(range(len(self._training)), config.seed)
        return Dataset.from_dict(rows).select(list(itertools.islice(order, config.num_train_steps * config.batch_size)))

    def _reward(self, function: RewardFn) -> Callable[..., Sequence[float]]:
        """A run's reward function as TRL calls one: texts for messages, and the examples themselves."""

        def reward(completion_ids: Any, example: Sequence[int], **columns: Any) -> Sequence[float]:
            texts = self._tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
            kept: Mapping[str, Any] = {name: columns[name] for name in ("question", "answer", "reference")}
            examples = [self._training[i] for i in example]
            return function(prompts=[self._shown[i] for i in example], completions=texts, example=examples, **kept)

        reward.__name__ = getattr(function, "__name__", "reward")
        return reward

    def _credited(self, step: int, credited: Credited) -> None:
        """A part of the update after ``step`` is credited; on the main process."""
        if self._tally is None or self._tally.step != step + 1:
            self._tally = self._updates.tally = UpdateTally(step + 1, self._config.num_train_steps)
        self._tally.add(credited)
        self._on_credit(self._tally, credited)

    def learn(self, should_stop: Callable[[], bool]) -> int:
        self._started()
        if self._made >= self._config.num_train_steps or should_stop():
            return self._made
        self._should_stop = should_stop
        self._job.together(self, "_learn")
        return self._made

    def _learn(self) -> None:
        trainer = self._started()
        with _quiet():
            trainer.train(resume_from_checkpoint=str(folder_of(self._run_dir, self._made)) if self._made else None)
        self._made = int(trainer.state.global_step)

    def answers(self, samples: int, on_done: Callable[[int], None]) -> Iterator[list[Answers]]:
        done, began = 0, time.monotonic()
        for chunk in chunks(len(self._asked), self._config.eval.batch_size):
            examples = [self.held_out[i] for i in chunk]
            prompts = [i for i in chunk for _ in range(samples)]
            best = self._job.together(self, "_answer", list(chunk), None)
            on_done(done := done + len(chunk))
            sampled: list[tuple[str, bool]] = []
            for piece in chunks(len(prompts), self._config.eval.batch_size):
                noise = f"eval/{self._config.seed}/{chunk.start}/{piece.start}"
                sampled += self._job.together(self, "_answer", [prompts[i] for i in piece], noise)
                on_done(done := done + len(piece))
            yield [
                Answers(
                    example,
                    self._graded(best[i], example),
                    [self._graded(answer, example) for answer in sampled[i * samples : (i + 1) * samples]],
                )
                for i, example in enumerate(examples)
            ]
        if self._trainer is not None:
            self._updates.aside(time.monotonic() - began)

    def _graded(self, answer: tuple[str, bool], example: Example) -> Answer:
        text, truncated = answer
        return Answer(text, graded(self._parts.task.grade, text, example), truncated)

    def _answer(self, questions: Sequence[int], noise: str | None) -> list[tuple[str, bool]]:
        ends = self._model.generation_config.eos_token_id
        generate = Generator(self._tokenizer, self._config, ends, self._job.process, self._job.processes)
        prompts = [prompt_ids(self._asked[i][0], self._tokenizer) for i in questions]
        with self._job.whole(self._trainer, self._model) as model:
            return generate(model, prompts, noise)

    def save_policy(self, output: Path) -> None:
        self._job.together(self, "_save", str(output))

    def _save(self, output: str) -> None:
        trainer, config = self._started(), self._config
        state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
        if not self._job.leads:
            return
        save_policy(self._model, self._folder, Path(output), state, config.lora.scale)
        if config.lora.save_adapter:
            adapter = Path(output).with_name("adapter")
            base = str(self._folder) if config.model_id == EMBEDDED else config.model_id
            save_adapter(trainer.accelerator.unwrap_model(trainer.model), adapter, state, base)

    def close(self) -> None:
        self._on_credit = self._on_metrics = _ignore
        self._job.end()

    def _started(self) -> CALGRPOTrainer:
        if self._trainer is None:
            raise RuntimeError("start comes first")
        return self._trainer


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what third parties warn of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(torch|transformers|trl|accelerate|peft|datasets)\b")
        yield


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What TRL refuses at construction, as one line: vLLM that is not installed, an unknown tracker."""
    try:
        yield
    except (ImportError, ValueError, NotImplementedError) as e:
        raise UsageError(f"TRL refuses these settings ({' '.join(str(e).split()):.300}); correct trl.*") from e


def _ignore(*_: Any) -> None:
    """Nobody listens."""
