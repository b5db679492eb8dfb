"""``python -m study``: the study's commands, from the repository's root."""

from typing import Any

from cal_grpo.cli import run_app


def _app(**how: Any) -> Any:
    from study.commands import app

    return app(**how)


run_app(_app, "study")
