"""A run looked at before it begins: its config resolved, its questions read, its memory and cost. Nothing is written."""

from dataclasses import dataclass
from pathlib import Path

from cal_grpo import extras
from cal_grpo.config import TrainConfig
from cal_grpo.engines import require_engine
from cal_grpo.files import require_writable
from cal_grpo.oracles import Query, VerdictCost, verdict_costs
from cal_grpo.policies import local_folder, shapes_in
from cal_grpo.runs.beforehand.footprint import Footprint, footprint
from cal_grpo.runs.beforehand.worked import without_solutions
from cal_grpo.runs.folder import check_output
from cal_grpo.runs.parts import Given, check_parts, look_over, recorded
from cal_grpo.runs.trackers import TRACKERS
from cal_grpo.tasks import load_task

_LOOKED_AT = 64  # questions whose lengths are measured


@dataclass(frozen=True)
class Rehearsal:
    """What a run would be.

    Attributes:
        config: as ``config.yaml`` would have it, with the task's lengths.
        training, held_out: questions.
        answers: sampled in all, of which the wrong ones are judged.
        notes: about the data.
        costs: of each judge that is paid; none where none is, or where a replay answers.
        memory: at least; None for a model on the hub, whose tensors are not known before they are here.
    """

    config: TrainConfig
    training: int
    held_out: int
    answers: int
    notes: tuple[str, ...]
    costs: list[VerdictCost]
    memory: Footprint | None


def rehearse(config: TrainConfig, resume: bool = False) -> Rehearsal:
    """See what a training would be, without loading a model, a key or a call.

    Raises:
        UsageError: what the training would refuse of its engine, trackers, output, task, data, model folder, examples, prices,
            replay and judge's address, and of the names of its oracle, credit and reward; of a run that goes on, of its parts.
    """
    require_engine(config.engine)
    for name in config.tracker:
        extras.require("tracker", name, TRACKERS)
    if resume:
        check_parts(config, Given())
        require_writable(config.output_dir or Path())
    else:
        check_output(config)
        recorded(config, Given())  # names of a user's own parts that lead nowhere
    asks = look_over(config)
    task = load_task(config)
    costs: list[VerdictCost] = []
    if asks and config.oracle.replay is None:
        oracle = config.oracle
        # A wrong answer is about as long as the solution that it is held against
        queries = [Query(e.question, e.reference, e.reference) for e in task.train[:_LOOKED_AT]]
        costs = verdict_costs(
            config.cal_provider, queries, model=config.cal_model, few_shot=oracle.few_shot, style=oracle.style,
            corrections=oracle.corrections or config.teaches, max_answer_tokens=oracle.max_answer_tokens, prices=oracle.prices,
        )  # fmt: skip
    notes = (*task.notes, *(without_solutions(config, task) if asks else ()))
    answers = config.batch_size * config.num_generations * config.num_train_steps
    fitted = config.fitted(task.prompt_tokens, task.answer_tokens)
    folder = local_folder(config.model_id)
    memory = None if folder is None else footprint(fitted, shapes_in(folder))
    return Rehearsal(fitted, len(task.train), len(task.eval), answers, notes, costs, memory)
