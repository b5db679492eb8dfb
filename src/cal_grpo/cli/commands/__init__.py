"""What can be asked for on the command line? A file each."""

from cal_grpo.cli.commands.arguments import Command, Group
from cal_grpo.cli.commands.cache_commands import cache_app
from cal_grpo.cli.commands.compare_command import compare_command
from cal_grpo.cli.commands.eval_command import eval_command
from cal_grpo.cli.commands.inspect_command import inspect_command
from cal_grpo.cli.commands.oracle_commands import oracle_app
from cal_grpo.cli.commands.report_command import report_command
from cal_grpo.cli.commands.train_command import train_command

__all__ = [
    "Command",
    "Group",
    "cache_app",
    "compare_command",
    "eval_command",
    "inspect_command",
    "oracle_app",
    "report_command",
    "train_command",
]
