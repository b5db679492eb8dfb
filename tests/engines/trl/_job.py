"""What each process of a job runs: two updates on completions that depend on a row's number alone.

torchrun ... _job.py OUT FOLDER ROWS_A_PROCESS GROUP [FIELD=TEXT of CALGRPOConfig ...]
"""

import json
import random
import sys
from pathlib import Path

from datasets import Dataset

from cal_grpo.engines.trl import CALGRPOConfig, CALGRPOTrainer
from cal_grpo.oracles import Tag, Verdict
from cal_grpo.tasks import stories


class BlamesEnds:
    """Blames the last line, and says the reference's instead."""

    name = "blames-ends"

    def __init__(self):
        self.asked = []

    async def locate(self, query):
        self.asked.append(query.response)
        line, right = (text.splitlines()[-1] for text in (query.response, query.reference))
        return Verdict(Tag.FOUND, segment=line, correction=right)


class Handed(CALGRPOTrainer):
    """Its completions are handed to it, and what reaches the loss is kept. Some are right: ``answers`` are the questions'."""

    calls = 0
    answers = ()

    def __init__(self, *args, **kwargs):
        self.kept = []
        super().__init__(*args, **kwargs)

    def _generate_single_turn(self, prompt_ids, *args, **kwargs):
        self.calls += 1
        first = self.accelerator.process_index * len(prompt_ids)
        return [self._handed(first + i) for i in range(len(prompt_ids))], None

    def _handed(self, row):
        draw = random.Random(f"{self.calls}/{row}")
        words = " ".join(draw.choice(["apples", "plus", "eggs", "minus", "boxes"]) for _ in range(draw.randint(3, 9)))
        ids = self._tokenizer.encode(f"{words}\n#### {draw.choice(self.answers)}", add_special_tokens=False)
        return [*ids, self._tokenizer.eos_token_id] if draw.random() < 0.8 else ids

    def _compute_loss(self, model, inputs):
        rows = zip(inputs["completion_ids"], inputs["completion_mask"], inputs["advantages"], strict=True)
        lengths = [(ids, int(mask.sum()), advantages) for ids, mask, advantages in rows]
        self.kept += [[ids[:n].tolist(), [round(float(a), 6) for a in advantages[:n]]] for ids, n, advantages in lengths]
        return super()._compute_loss(model, inputs)


def main(out, folder, rows, group, *more):
    questions = [next(stories(seed=seed, steps=2, split="train")) for seed in range(4)]
    dataset = Dataset.from_list([{"prompt": e.question, "answer": e.answer, "reference": e.reference} for e in questions])
    oracle = BlamesEnds()
    args = CALGRPOConfig(
        output_dir=str(out / "trained"), per_device_train_batch_size=int(rows), num_generations=int(group), max_steps=2,
        learning_rate=1e-3, report_to="none", bf16=False, use_cpu=True, save_strategy="no", gradient_checkpointing=False,
        disable_tqdm=True, logging_steps=1, loss_type="dapo", beta=0.1, shuffle_dataset=False, ddp_find_unused_parameters=False,
        corrections="rest", **{name: int(text) if text.isdigit() else text for name, text in (s.split("=") for s in more)},
    )  # fmt: skip
    Handed.answers = [e.answer for e in questions]
    trainer = Handed(model=str(folder), args=args, train_dataset=dataset, oracle=oracle)
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    corrected = [row["correction_loss"] for row in trainer.state.log_history if "loss" in row]
    told = {"rows": trainer.kept, "losses": losses, "asked": oracle.asked, "corrected": corrected}
    (out / f"{trainer.accelerator.process_index}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
