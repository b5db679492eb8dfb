"""Has the free oracle what it reads: worked solutions?"""

from cal_grpo.config import TrainConfig
from cal_grpo.oracles import Query, ReferenceOracle
from cal_grpo.oracles.several import named_in
from cal_grpo.tasks import TaskData

_LOOKED_AT = 64  # training questions


def without_solutions(config: TrainConfig, task: TaskData) -> tuple[str, ...]:
    """A note where the oracle ``reference`` alone is asked, and most questions have an answer without a way to it."""
    if set(named_in(config.cal_provider)) != {"reference"} or config.oracle.replay is not None:
        return ()
    looked_at, oracle = task.train[:_LOOKED_AT], ReferenceOracle()
    bare = sum(not oracle.reads(Query(e.question, e.reference, "")) for e in looked_at)
    if 2 * bare <= len(looked_at):
        return ()
    return (
        f"{bare} of the first {len(looked_at)} training questions have no worked solution, which oracle 'reference' reads; it "
        "will find false sums only: --set fields.reference=NAME names another column, --oracle gemini asks a judge that needs "
        "none",
    )
