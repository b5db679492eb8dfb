"""What becomes of wrong answers when the judge fails: a row a fault, 30 % of the requests faulty.

    python benchmarks/fault_table.py [--protocol gemini] [--markdown]

Each row judges 200 wrong answers, each beside a right one, through the whole pipeline: HTTP, the official client, retries,
quote, mapping, credit `prefix`, with `on_failure` and `on_miss` on `drop` and the breaker off. `answered` rows have a
mapped span; `tagged` says what the others have. `scored wrongly` counts the rows whose advantages are not what they should
be: on an answered one exactly the tokens of the wrong line are blamed, on any other every token has 0, and right answers
have what they have without faults. `billed` calls are those whose reply reports tokens. JSON on stdout.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
from _judge_server import JudgeServer, Reply, Request, answer, error, verdict
from tokenizers import Tokenizer

from cal_grpo.alignment import Aligner, TokenSpan
from cal_grpo.credit import Weights, formula
from cal_grpo.grading import grade_answer
from cal_grpo.oracles import CALOracle
from cal_grpo.pipeline import Completion, CreditPipeline
from cal_grpo.policies import EMBEDDED

SAMPLES, SHARE = 200, 0.3
REFERENCE = "the sum of all four is what was asked for"
AWAY = verdict("12+3=4")
UNKNOWN = "[{'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be 'text' or 'json_object'\"}]"
SPENT = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota", "type": "insufficient_quota"}}
TOKENIZER = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
TIMEOUT_S = 0.5
RIGHT = 0.5 / 0.5**0.5  # one of two is right: mean 0.5, sample standard deviation 0.707


def refusal(request: Request) -> Reply:
    reply = json.loads(answer(request, "").body)
    if request.is_gemini:
        reply["candidates"] = [{"finishReason": "SAFETY"}]
    else:
        reply["choices"][0]["message"] = {"role": "assistant", "refusal": "I cannot help with that"}
    return Reply(json.dumps(reply).encode())


FAULTS: dict[str, Callable[[Request], Reply]] = {
    "none": lambda r: judge(r),
    "429": lambda r: error(r, 429, headers={"retry-after": "0.05"}),
    "500": lambda r: error(r, 500),
    "timeout": lambda r: answer(r, verdict("x"), latency_s=3 * TIMEOUT_S),
    "connection reset": lambda r: Reply(fault="reset"),
    "empty body": lambda r: Reply(),
    "truncated JSON": lambda r: answer(r, verdict(wrong_line(r.response))[:-12]),
    "wrong schema": lambda r: answer(r, json.dumps({"error_step": 1, "quote": wrong_line(r.response)})),
    "refusal or safety block": refusal,
    "a quote that is not there": lambda r: answer(r, verdict("1234+1=4321")),
    "thoughts, prose, a fence": lambda r: answer(r, f"<think>{{x}} {AWAY}</think>So:\n``` JSON\n{good(r)}\n```\nDone {{y}}"),
    "quotes, commas, raw line breaks": lambda r: answer(r, f"{{'critique': 'a\nb', 'segment': '{wrong_line(r.response)}',}}"),
    "content in parts": lambda r: in_parts(r, good(r)),
    "a backslash that JSON eats": lambda r: answer(r, good(r).replace("wrong here", "3 \\times \\(x\\)")),
    "cut off at the length": lambda r: in_parts(r, good(r)[:-12], "length", "MAX_TOKENS"),
    "a draft, then no end": lambda r: answer(r, f"<think>perhaps {AWAY}"),
    "a quote of the reference": lambda r: answer(r, verdict(REFERENCE)),
    "400 about a setting": lambda r: unknown(r, 400, "temperature", "Unsupported value: 'temperature' does not support 0"),
    "422 about a setting": lambda r: unknown(r, 422, "response_format", UNKNOWN),
    "500 about a setting": lambda r: unknown(r, 500, "response_format", UNKNOWN),
    "400 about a long prompt": lambda r: error(r, 400, "max_tokens is too large: the context has at most 2048 tokens"),
    "a quota that is used up": lambda r: Reply(json.dumps(SPENT).encode(), 429),
    "a 5 MB answer": lambda r: answer(r, verdict("x" * 5_000_000)),
}


def good(request: Request) -> str:
    return verdict(wrong_line(request.response))


def in_parts(request: Request, text: str, *reasons: str) -> Reply:
    """The answer in two parts, thoughts of another place in front; ``reasons``: why it ends, in OpenAI's and Gemini's words."""
    reply = json.loads(answer(request, "").body)
    halves = text[:20], text[20:]
    if request.is_gemini:
        reply["candidates"][0]["content"]["parts"] = [{"text": AWAY, "thought": True}, *({"text": half} for half in halves)]
        reply["candidates"][0]["finishReason"] = reasons[1] if reasons else "STOP"
    else:
        texts = [{"type": "text", "text": half} for half in halves]
        reply["choices"][0]["message"]["content"] = [{"type": "thinking", "thinking": AWAY}, *texts]
        reply["choices"][0]["finish_reason"] = reasons[0] if reasons else "stop"
    return Reply(json.dumps(reply).encode())


def unknown(request: Request, status: int, setting: str, message: str) -> Reply:
    """A server that takes no such setting; Gemini's protocol has no other to offer."""
    sent = request.body.get(setting)
    refused = sent is not None and not (isinstance(sent, dict) and sent["type"] == "json_object")
    return error(request, status, message) if refused else judge(request)


def wrong_line(response: str) -> str:
    """The first line whose sum is false."""
    for line in response.splitlines():
        left, _, right = line.partition("=")
        a, _, b = left.partition("+")
        if right and int(a) + int(b) != int(right):
            return line
    raise ValueError(f"no wrong line in {response!r}")


def judge(request: Request) -> Reply:
    return answer(request, verdict(wrong_line(request.response)))


def completions() -> list[Completion]:
    """Pairs of a right and a wrong answer to sums of four numbers."""
    draw, rows = random.Random("fault-table"), []
    for number in range(SAMPLES):
        terms = [100 + number, *(draw.randint(11, 99) for _ in range(3))]
        slip_at = draw.randint(1, 3)
        for slip in (0, draw.choice((-10, -1, 1, 10))):
            total, lines = terms[0], []
            for at, term in enumerate(terms[1:], 1):
                after = total + term + (slip if at == slip_at else 0)
                lines.append(f"{total}+{term}={after}")
                total = after
            text = "\n".join([*lines, f"#### {total}"])
            grade = grade_answer(text, str(sum(terms)))
            rows.append(Completion(f"What is {terms}?", REFERENCE, TOKENIZER.encode(text).ids, grade, float(grade.correct)))
    return rows


def table_row(name: str, protocol: str) -> dict:
    tries: Counter[str] = Counter()
    billed = 0

    def script(request: Request) -> Reply:
        nonlocal billed
        tries[request.response] += 1
        drawn = random.Random(f"faults/{name}/{request.response}/{tries[request.response]}").random()
        faulty = drawn < SHARE and len(server.requests) > 1  # a judge that rejects its first question stops a training
        reply = FAULTS[name](request) if faulty else judge(request)
        billed += reply.status == 200 and (b'"prompt_tokens"' in reply.body or b'"promptTokenCount"' in reply.body)
        return reply

    rows = completions()
    with JudgeServer(script) as server:
        settings = {"base_url": getattr(server, protocol), "timeout_s": TIMEOUT_S if name == "timeout" else 30.0}
        with CALOracle(protocol, model="m", api_key="k" * 20, concurrency=16, breaker_failures=0, **settings) as oracle:
            pipeline = CreditPipeline(
                oracle, Aligner(TOKENIZER), formula("prefix"), Weights(), 2, on_miss="drop", on_failure="drop"
            )
            credited = pipeline.redeem(pipeline.submit(rows))
            spent, retried = oracle.spent, oracle.retried
    wrong = 0
    for judged, advantages_T in zip(credited.judged, credited.advantages_BT, strict=True):
        ids = np.array(judged.completion.token_ids)
        advantages_T = advantages_T[: len(ids)]
        if judged.verdict is None:
            good = bool(np.isclose(advantages_T, RIGHT, atol=1e-4).all())
        elif isinstance(judged.outcome, TokenSpan):
            blamed = TOKENIZER.decode(ids[advantages_T < 0].tolist(), skip_special_tokens=False)
            good = blamed.strip() == wrong_line(judged.text)
        else:
            good = not advantages_T.any()
        wrong += not good
    tagged = Counter(j.miss for j in credited.judged if j.miss is not None)
    return {
        "fault": name,
        "answered": int(credited.metrics["found"]),
        "retried": retried,
        "tagged": dict(tagged),
        "scored_wrongly": wrong,
        "calls": spent.calls,
        "billed": billed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=["openai", "gemini"], default="openai")
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    rows = []
    for name in FAULTS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows.append(table_row(name, args.protocol))
    if not args.markdown:
        print(json.dumps(rows, indent=2))
        return
    print("| fault | answered | retried | tagged | scored wrongly | calls | billed |\n|---|---|---|---|---|---|---|")
    for row in rows:
        tagged = ", ".join(f"{tag} {count}" for tag, count in sorted(row["tagged"].items())) or "-"
        cells = [row["fault"], row["answered"], row["retried"], tagged, row["scored_wrongly"], row["calls"], row["billed"]]
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
