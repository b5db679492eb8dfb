"""``python -m cal_grpo``: the command line."""

from cal_grpo.cli import main

main()
