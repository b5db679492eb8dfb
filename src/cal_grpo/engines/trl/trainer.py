"""The trainer: TRL's GRPO with per-token advantages from the credit pipeline.

TRL's loss takes a (B, T) advantage, and its buffer splits and shuffles one, so nothing of the loop is copied: the grades are
taken where the rewards are computed, and the advantages swapped where TRL has made its own (``guard`` has the lines).
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from trl import GRPOTrainer
from trl.models.utils import disable_gradient_checkpointing

from cal_grpo.alignment import Aligner
from cal_grpo.credit import Compute, Formula, formula
from cal_grpo.engines import cal_metrics
from cal_grpo.engines.trl.completions import Answered
from cal_grpo.engines.trl.config import CALGRPOConfig
from cal_grpo.engines.trl.corrections import Taught, corrector_of, taught_loss
from cal_grpo.engines.trl.dataset import check_datasets, example_of
from cal_grpo.engines.trl.guard import UpdateGuard, check_hooks
from cal_grpo.engines.trl.processes import gathered, on_main
from cal_grpo.errors import UsageError
from cal_grpo.grading import Grade
from cal_grpo.oracles import CALOracle, Oracle
from cal_grpo.pipeline import Credited, CreditPipeline, Update
from cal_grpo.tasks import Example, Grader, grade_by_answer, graded

OnCredit = Callable[[int, Credited], None]
_OTHER_TOKENS = ("tools", "rollout_func", "environment_factory")


class CALGRPOTrainer(GRPOTrainer):
    """TRL's GRPO trainer with CAL's credit. TRL's arguments come first, by its names and in its order.

    Args:
        model: as in TRL.
        reward_funcs: replaces grading as the source of rewards; grading still decides which rows are wrong. None: a right
            answer's reward is 1, a wrong one's 0.
        args: see ``CALGRPOConfig``.
        trl: TRL's other arguments by position or name, ``train_dataset`` and on.
        oracle: a ``CALOracle`` or any object with ``async locate(query) -> Verdict``. Not asked when ``use_cal`` is off, for
            right answers, and in evaluation; in a job of several processes only by the main one.
        credit: a function or ``Formula`` instead of ``args.credit``.
        grade: the task's grader, ``(response, example) -> Grade``.
        example_of: what a dataset's row asks; by default its columns ``question``, ``answer`` and ``reference``.
        on_credit: called with the updates made and what became of each forward pass's share of whole groups, in order, on the
            main process.

    Datasets need the columns ``prompt`` (text or messages), ``answer`` and ``reference``; ``question`` is the last user message
    where it is missing. With an ``example_of`` of your own they need what that reads, and ``prompt``.

    Raises:
        UsageError: another kind of config, no oracle for a credit that needs one, a missing column, a row that cannot be
            graded, fewer questions than are sampled together, images, tools or a rollout of one's own, or a TRL that lacks
            what is overridden.
    """

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: CALGRPOConfig | None = None,
        *trl: Any,
        oracle: CALOracle | Oracle | None = None,
        credit: Compute | Formula | None = None,
        grade: Grader = grade_by_answer,
        example_of: Callable[[Mapping[str, Any]], Example] = example_of,
        on_credit: OnCredit | None = None,
        **named: Any,
    ) -> None:
        if args is None:
            name = model if isinstance(model, str) else model.config._name_or_path
            args = CALGRPOConfig(f"{name.split('/')[-1]}-CAL-GRPO")
        if not isinstance(args, CALGRPOConfig):
            raise UsageError(f"args is a {type(args).__name__}; expected a CALGRPOConfig, which extends GRPOConfig")
        check_hooks()
        for name in _OTHER_TOKENS:
            if named.get(name) is not None:
                raise UsageError(f"{name} is set; credit reads what the policy alone has written: use TRL's own GRPOTrainer")
        train, held_out = [*trl, *(named.get(name) for name in ("train_dataset", "eval_dataset")[len(trl) :])][:2]
        check_datasets(train, held_out, example_of, args.generation_batch_size // args.num_generations)
        chosen = formula(credit or args.credit) if args.use_cal else formula("grpo")
        if oracle is None and (chosen.needs_oracle or args.teaches):
            what = f"credit={chosen.name!r}" if chosen.needs_oracle else f"corrections={args.corrections!r}"
            raise UsageError(f"{what} needs an oracle; pass oracle=CALOracle(...) or set use_cal=False")
        if chosen.reads_logprobs and args.temperature != 1.0:
            raise UsageError(
                f"credit={chosen.name!r} reads probabilities at temperature 1, TRL's are at {args.temperature:g}; set it to 1"
            )
        if chosen.name == "sparse" and args.beta == 0.0:
            warnings.warn(
                "credit='sparse' only pushes down; with beta=0 nothing holds the policy and it collapses. "
                "Set beta > 0 or choose another credit.",
                stacklevel=2,
            )
        super().__init__(model, reward_funcs or self.correct, args, *trl, **named)
        if self._is_vlm:
            raise UsageError("processing_class is a processor, for images too; credit reads text: pass its tokenizer")
        self._use_cal, self._end_tokens = args.use_cal, args.train_end_token
        self._ends = frozenset([*self.eos_token_ids, self._tokenizer.pad_token_id])  # as TRL tells what was cut off
        self._guard = UpdateGuard(args.num_iterations)
        self._grader, self._example_of, self._on_credit = grade, example_of, on_credit
        self._answered: list[Answered] = []  # of all processes, as are the grades and the rewards
        self._grades: list[Grade] = []
        self._rewards_B = np.zeros(0, np.float32)
        # Plain GRPO goes through the pipeline too, for its records; it asks nothing and its advantages stay TRL's.
        self._pipeline = CreditPipeline(
            oracle=oracle if oracle is None or isinstance(oracle, CALOracle) else CALOracle(oracle),
            aligner=Aligner(self._tokenizer, max_span_tokens=args.max_span_tokens, on_ambiguous=args.on_ambiguous),
            credit=chosen,
            corrector=corrector_of(args, self._tokenizer),
            **args.pipeline_settings(),
        )

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's loop, and a look at its end whether the credit reached the updates."""
        made = super().train(*args, **kwargs)
        self._guard.end()
        return made

    def correct(self, prompts: Any, completions: Any, **_: Any) -> list[float]:
        """The reward where none was given: 1 for a right answer, 0 for a wrong one."""
        return [float(grade.correct) for grade in self._grades[self._mine(len(completions))]]

    def _mine(self, rows: int) -> slice:
        """This process's rows among those of all."""
        first = self.accelerator.process_index * rows
        return slice(first, first + rows)

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> torch.Tensor:
        pairs = zip(inputs, completion_ids_list, strict=True)
        self._answered = gathered([Answered.of(self._example_of(row), ids, self._ends) for row, ids in pairs])
        self._grades = on_main(self._graded)
        rewards_BF = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        if self._use_cal and self.model.training:
            if (unknown := torch.isnan(rewards_BF).all(dim=1)).any():
                raise UsageError(
                    f"no reward function gave a number for {int(unknown.sum())} of {len(unknown)} answers; credit needs each"
                )
            if torch.isinf(rewards_BF).any():
                raise UsageError("a reward function gave an infinite number; credit needs finite ones")
        self._rewards_B = (rewards_BF * self.reward_weights.to(rewards_BF.device)).nansum(dim=1).float().cpu().numpy()
        return rewards_BF

    def _graded(self) -> list[Grade]:
        texts = self._tokenizer.batch_decode([a.token_ids for a in self._answered], skip_special_tokens=True)
        return [graded(self._grader, text, a.example) for text, a in zip(texts, self._answered, strict=True)]

    def _regrade(self, example: Example) -> Callable[[str], Grade]:
        return lambda text: graded(self._grader, text, example)

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if not self.model.training:
            return output
        logprobs = self._logprobs(output)
        advantages_BT, taught = on_main(lambda: self._credited(logprobs))
        if self._use_cal:
            self._guard.credit(len(inputs))
            mine = self._mine(len(inputs))
            output["advantages"] = self._on_grid(advantages_BT[mine], output["completion_mask"])
            output |= taught.rows(mine, output["prompt_ids"].device) if self.args.teaches else {}
        return output

    def _credited(self, logprobs: Sequence[np.ndarray] | None) -> tuple[np.ndarray, Taught]:
        """(B, T) of the rows of all processes, and their corrections. Runs on the main one, and waits for the verdicts."""
        given: Sequence[np.ndarray | None] = [None] * len(self._answered) if logprobs is None else logprobs
        rows = zip(self._answered, self._grades, self._rewards_B, given, strict=True)
        pending = self._pipeline.submit(
            [a.completion(g, float(r), p, self._end_tokens, self._regrade(a.example)) for a, g, r, p in rows]
        )
        step, credited, update = self.state.global_step, [], Update(self._pipeline)
        parts = [pending.part(part, (self.args.seed, step, i)) for i, part in enumerate(self._parts(len(self._answered)))]
        for part in parts:
            update.add(part)
        update.close()
        for part in parts:
            credited.append(update.redeem(part))
            if self._on_credit is not None:
                self._on_credit(step, credited[-1])
        self._log_credit(credited)
        width = max(c.advantages_BT.shape[1] for c in credited)
        padded = [np.pad(c.advantages_BT, ((0, 0), (0, width - c.advantages_BT.shape[1]))) for c in credited]
        return np.concatenate(padded), Taught.of(parts, credited, self._tokenizer.pad_token_id)

    def _parts(self, rows: int) -> list[slice]:
        """A part for each forward pass where that holds whole groups; else one. TRL shuffles the rows afterwards."""
        each = rows // self.args.steps_per_generation
        each = each if each % self.num_generations == 0 else rows
        return [slice(start, start + each) for start in range(0, rows, each)]

    def _log_credit(self, credited: Sequence[Credited]) -> None:
        found: dict[str, list[float]] = {}
        summed = set()
        for name, (value, how) in (item for c in credited for item in cal_metrics(c).items()):
            found.setdefault(name, []).append(value)
            summed |= {name} if how == "sum" else set()
        for name, values in found.items():
            self._metrics["train"][name].append(sum(values) / (1 if name in summed else len(values)))

    def _logprobs(self, output: Mapping[str, Any]) -> list[np.ndarray] | None:
        """(T,) of each row of all processes under the policy that sampled; None where the formula does not read them."""
        if not self._pipeline.credit.reads_logprobs:
            return None
        logps_BT = output.get("old_per_token_logps")
        if logps_BT is None:  # one pass more: TRL leaves it out where the policy that samples is the one that is updated
            ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
            mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
            with torch.no_grad(), disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs):
                logps_BT, *_ = self._get_per_token_logps_and_entropies(
                    self.model, ids, mask, output["completion_ids"].size(1), batch_size=self.args.per_device_train_batch_size
                )
        return gathered(list(logps_BT.float().cpu().numpy()))

    @staticmethod
    def _on_grid(advantages_BT: np.ndarray, mask_BT: torch.Tensor) -> torch.Tensor:
        """On the process's device and in its own T, 0 where its loss counts nothing."""
        wide_BT = np.zeros(tuple(mask_BT.shape), dtype=np.float32)
        width = min(advantages_BT.shape[1], wide_BT.shape[1])
        wide_BT[:, :width] = advantages_BT[:, :width]
        return torch.from_numpy(wide_BT).to(mask_BT.device) * mask_BT

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        if self._use_cal and self.model.training:
            self._guard.look_at(inputs)
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        if self.args.teaches and self.model.training:
            loss = loss + taught_loss(self, model, inputs)
        return loss
