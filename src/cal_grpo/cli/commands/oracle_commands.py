"""``cal-grpo oracle``: the commands about one oracle, each in a file of its own."""

import typer

from cal_grpo.cli.commands.arguments import Command, Group
from cal_grpo.cli.commands.oracle_ask import ask_command
from cal_grpo.cli.commands.oracle_bench import bench_command
from cal_grpo.cli.commands.oracle_check import check_command

oracle_app = typer.Typer(
    cls=Group,
    help="Ask an oracle, see whether one can be asked, and how good it is.",
    no_args_is_help=True,
)
oracle_app.command("ask", cls=Command)(ask_command)
oracle_app.command("check", cls=Command)(check_command)
oracle_app.command("bench", cls=Command)(bench_command)
