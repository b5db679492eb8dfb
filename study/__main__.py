"""``python -m study``: the study's commands, from the repository's root."""

from cal_grpo.cli import run_app
from study.commands import app

run_app(app, "study")
