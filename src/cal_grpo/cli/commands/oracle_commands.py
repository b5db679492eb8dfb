"""``cal-grpo oracle``: the commands about one oracle, each in a file of its own."""

import typer

from cal_grpo.cli.commands.oracle_ask import ask_command
from cal_grpo.cli.commands.oracle_bench import bench_command
from cal_grpo.cli.commands.oracle_check import check_command

oracle_app = typer.Typer(help="Ask an oracle, see whether one can be asked, and how good it is.", no_args_is_help=True)
oracle_app.command("ask")(ask_command)
oracle_app.command("check")(check_command)
oracle_app.command("bench")(bench_command)
