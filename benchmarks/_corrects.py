"""An oracle of tests that corrects."""

from cal_grpo.oracles import Query, Tag, Verdict, split_steps


class Corrects:
    """Blames the last step of a wrong answer, and says its reference's last line instead."""

    name = "corrects"

    async def locate(self, query: Query) -> Verdict:
        steps = [step.text for step in split_steps(query.response) if any(map(str.isalnum, step.text))]
        if not steps:
            return Verdict(Tag.ABSTAINED)
        return Verdict(Tag.FOUND, segment=steps[-1], correction=query.reference.splitlines()[-1])
