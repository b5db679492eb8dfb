"""How a response goes on rightly, where it is written as the reference is: with the reference's own rest."""

from collections.abc import Sequence

from cal_grpo.grading import extract_answer
from cal_grpo.oracles.form import skeleton
from cal_grpo.oracles.steps import Step, split_steps


def continuation(reference: str, steps: Sequence[Step], wrong: int) -> str:
    """The reference from the counterpart of a response's first wrong step on; "" unless it goes on as the response began.

    It does where the steps before the wrong one are the reference's first ones, word for word and in order, and the wrong
    one is written as its counterpart is, with other numbers or signs. Behind a right step it may be written as any of the
    reference's steps: an answer that ends too early, or goes on too long, has lines of another kind there.

    Args:
        reference: the worked solution. What is given ends in its final answer.
        steps: of the response.
        wrong: index of the first wrong one.
    """
    right = split_steps(reference)
    if wrong >= len(right) or [step.text for step in steps[:wrong]] != [step.text for step in right[:wrong]]:
        return ""
    alike = right if wrong else right[:1]
    if steps[wrong].text == right[wrong].text or skeleton(steps[wrong].text) not in {skeleton(step.text) for step in alike}:
        return ""
    rest = reference[right[wrong].start :].rstrip()
    answer = extract_answer(reference)
    return rest if answer is not None and extract_answer(rest) == answer else ""
