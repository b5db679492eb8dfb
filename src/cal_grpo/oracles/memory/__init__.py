"""What was said before, and need not be paid again?"""

from cal_grpo.oracles.memory.cache import VerdictCache, default_cache
from cal_grpo.oracles.memory.cache_admin import cache_stats, export_cache, prune_cache
from cal_grpo.oracles.memory.judge_log import JudgeLog, Replay
from cal_grpo.oracles.memory.recall import Recall
from cal_grpo.oracles.memory.records import digest, read_verdict, request_digest, verdict_record

__all__ = [
    "JudgeLog",
    "Recall",
    "Replay",
    "VerdictCache",
    "cache_stats",
    "default_cache",
    "digest",
    "export_cache",
    "prune_cache",
    "read_verdict",
    "request_digest",
    "verdict_record",
]
