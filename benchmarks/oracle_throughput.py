"""How close concurrent oracle calls come to the bound that latency and concurrency set.

    python benchmarks/oracle_throughput.py [--protocol gemini]

A server in a process of its own answers each of the calls after 1 to 3 s, drawn at random; every verdict is stored in a
cache and logged, as in training. The bound is `sum(latency) / concurrency + max(latency)`. The serial row is the sum of the
same latencies, which is what one call after another takes at least; `serial_check` really makes some calls so, and says how
far above their sum they came. JSON on stdout.
"""

import argparse
import json
import sys
import tempfile
import time

from _judge_server import ServerProcess

from cal_grpo.oracles import CALOracle, Query


def run(protocol: str, calls: int, concurrency: int, low_s: float, high_s: float, seed: int) -> dict:
    with tempfile.TemporaryDirectory() as folder, ServerProcess(low_s=low_s, high_s=high_s, seed=seed) as server:
        settings = {"base_url": getattr(server, protocol), "cache": f"{folder}/c.db", "log": f"{folder}/judge.jsonl"}
        with CALOracle(protocol, model="m", api_key="k" * 20, concurrency=concurrency, **settings) as oracle:
            began = time.monotonic()
            verdicts = oracle.locate([Query("What?", "1+1=2", f"step {i}: 1+1=3\nso 3") for i in range(calls)])
            wall_s = time.monotonic() - began
        latencies = server.counts()["latencies_s"]
    assert len(latencies) == calls
    assert all(v.tag == "found" for v in verdicts)
    return {"calls": calls, "concurrency": concurrency, "wall_s": wall_s, "sum_s": sum(latencies), "max_s": max(latencies)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=["openai", "gemini"], default="openai")
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--serial-calls", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(f"{args.calls} calls, {args.concurrency} at once ...", file=sys.stderr)
    many = run(args.protocol, args.calls, args.concurrency, 1.0, 3.0, args.seed)
    print(f"{args.serial_calls} calls, one after another ...", file=sys.stderr)
    one = run(args.protocol, args.serial_calls, 1, 1.0, 3.0, args.seed)
    bound_s = many["sum_s"] / args.concurrency + many["max_s"]
    result = {
        "protocol": args.protocol,
        "concurrent": {k: round(v, 2) for k, v in many.items()},
        "bound_s": round(bound_s, 2),
        "ratio_to_bound": round(many["wall_s"] / bound_s, 4),
        "serial_s": round(many["sum_s"], 2),
        "times_faster_than_serial": round(many["sum_s"] / many["wall_s"], 1),
        "serial_check": {"calls": one["calls"], "ratio_to_sum": round(one["wall_s"] / one["sum_s"], 4)},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
