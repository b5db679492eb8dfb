"""``cal-grpo oracle``: the commands about one oracle, each in a file of its own."""

import typer

from cal_grpo.cli.oracle_ask import ask_command
from cal_grpo.cli.oracle_check import check_command

oracle_app = typer.Typer(help="Ask an oracle, and see whether one can be asked.", no_args_is_help=True)
oracle_app.command("ask")(ask_command)
oracle_app.command("check")(check_command)
