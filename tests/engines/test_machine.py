"""What a run ran on, and what it could have run on."""

import os
import subprocess
import sys

import pytest

from cal_grpo.engines import ENGINES, idle_gpu, versions
from cal_grpo.engines.machine import _PACKAGES


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """A machine with nvidia-smi, where nobody has said what to run on."""
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("device", ["cpu", "4 x cpu"])
def test_a_gpu_beside_a_run_on_the_cpu_is_told_in_one_line(gpu, device):
    told = idle_gpu(device)
    assert told.startswith("an NVIDIA GPU is idle here")
    assert "\n" not in told


def test_nothing_is_told_on_a_gpu_or_where_somebody_chose_the_cpu(gpu, monkeypatch):
    assert idle_gpu("NVIDIA H100 80GB HBM3") is None
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert idle_gpu("cpu") is None


def test_versions_are_of_this_package_python_and_the_engines():
    assert set(_PACKAGES) == set(ENGINES)
    found = versions("tunix")
    assert set(found) >= {"python", "cal-grpo", "jax", "google-tunix"}
    assert all(version[0].isdigit() for version in found.values())
    assert set(versions("none of them")) == {"python", "cal-grpo"}


def test_a_backend_that_is_not_there_is_one_line():
    shown = subprocess.run(
        [sys.executable, "-c", "from cal_grpo.engines.tunix.models import make_mesh; make_mesh()"],
        env={**os.environ, "JAX_PLATFORMS": "cuda"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "UsageError: JAX cannot run on cuda (" in shown.stderr.splitlines()[-1]
