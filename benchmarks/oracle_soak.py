"""Ten thousand calls against a server that enforces a limit by 429.

    python benchmarks/oracle_soak.py [--limit window|quiet|bucket] [--known]

`window` lets 3,000 requests through in any 60 seconds and says when to come back, `quiet` does not say so, `bucket` holds
50 and refills at 50 a second. The client does not know the limit, unless `--known` gives it as rpm. Latencies are 0.2 to
0.6 s, so that it ends in minutes. Every question must be answered, exactly once. JSON on stdout.
"""

import argparse
import json
import sys
import time

from _judge_server import ServerProcess

from cal_grpo.oracles import CALOracle, Query

LIMITS = {"window": {"window": [3000, 60.0, True]}, "quiet": {"window": [3000, 60.0, False]}, "bucket": {"bucket": [50, 50.0]}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", choices=list(LIMITS), default="window")
    parser.add_argument("--known", action="store_true")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--protocol", choices=["openai", "gemini"], default="openai")
    args = parser.parse_args()
    with ServerProcess(low_s=0.2, high_s=0.6, **LIMITS[args.limit]) as server:
        oracle = CALOracle(
            args.protocol,
            model="m",
            base_url=getattr(server, args.protocol),
            api_key="k" * 20,
            concurrency=args.concurrency,
            rpm=3000 if args.known else None,
        )
        with oracle:
            began = time.monotonic()
            futures = [oracle.submit(Query("What?", "1+1=2", f"step {i}: 1+1=3\nso 3")) for i in range(args.calls)]
            for done, future in enumerate(futures, 1):
                future.result()
                if done % 500 == 0:
                    spent_s = time.monotonic() - began
                    print(f"{done}/{args.calls} answered after {spent_s:.0f} s", file=sys.stderr, flush=True)
            wall_s = time.monotonic() - began
        counts = server.counts()
        requests = counts["refused"] + len(counts["latencies_s"])
        result = {
            "limit": args.limit,
            "limit_known": args.known,
            "calls": args.calls,
            "outcomes": oracle.outcomes,
            "requests": requests,
            "refused": counts["refused"],
            "refused_share": round(counts["refused"] / requests, 5),
            "asked_again_after_success": counts["answered_again"],
            "never_answered": args.calls - counts["answered"],
            "wall_s": round(wall_s, 1),
            "rate_per_s": round(args.calls / wall_s, 1),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
