"""What an import may cost: heavy libraries are loaded when they are used."""

import subprocess
import sys

import pytest

ENGINE = {"jax", "jaxlib", "torch", "tunix", "flax", "transformers", "trl", "accelerate", "peft"}
LAZY = {"latex2sympy2_extended", "sympy", "pyarrow", "openai", "google.genai", "datasets", "reasoning_gym"}


def modules_after(code):
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(shown.stdout.split())


def test_the_package_itself_imports_nothing():
    assert not modules_after("import cal_grpo") & (ENGINE | LAZY | {"numpy", "pydantic", "typer", "rich"})


@pytest.mark.parametrize(
    "room", ["grading", "oracles", "alignment", "credit", "tasks", "pipeline", "config", "runs", "cli.app", "seeing"]
)
def test_the_core_imports_no_engine_and_nothing_heavy(room):
    assert not modules_after(f"import cal_grpo.{room}") & (ENGINE | LAZY)


def test_the_oracles_of_a_name_need_no_engine():
    assert not modules_after("import cal_grpo; cal_grpo.CALOracle('reference').close()") & (ENGINE | LAZY)


def test_every_public_name_is_there():
    import cal_grpo

    for name in cal_grpo.__all__:
        assert getattr(cal_grpo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'CalOracle'"):
        _ = cal_grpo.CalOracle
