"""What was said before, and need not be paid again?"""

from cal_grpo.oracles.memory.cache import VerdictCache
from cal_grpo.oracles.memory.cache_admin import cache_stats, export_cache, prune_cache
from cal_grpo.oracles.memory.cache_file import CacheFile, default_cache
from cal_grpo.oracles.memory.judge_log import JudgeLog
from cal_grpo.oracles.memory.memory import Memories, Memory, Question
from cal_grpo.oracles.memory.recent import Recent
from cal_grpo.oracles.memory.records import digest, read_verdict, request_digest, verdict_record
from cal_grpo.oracles.memory.replay import Replay, Silent
from cal_grpo.oracles.memory.resumed import Resumed

__all__ = [
    "CacheFile",
    "JudgeLog",
    "Memories",
    "Memory",
    "Question",
    "Recent",
    "Replay",
    "Resumed",
    "Silent",
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
