"""What a run ran on: versions, and a GPU that lies idle."""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

_PACKAGES = {
    "tunix": ("google-tunix", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "transformers"),
    "trl": ("trl", "torch", "transformers", "accelerate", "peft"),
}
_CHOSEN = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME", "CUDA_VISIBLE_DEVICES")  # a person who sets one of them knows


def versions(engine: str) -> dict[str, str]:
    """Of Python, this package and those that an engine stands on, by the names that ``pip`` knows."""
    found = {"python": platform.python_version()}
    for package in ("cal-grpo", *_PACKAGES.get(engine, ())):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def idle_gpu(device: str) -> str | None:
    """A line for a person whose run is on the CPU beside an NVIDIA GPU, which nobody said to leave alone; else None."""
    if not device.endswith("cpu") or any(name in os.environ for name in _CHOSEN):
        return None
    if not any(Path("/dev").glob("nvidia[0-9]*")) and shutil.which("nvidia-smi") is None:
        return None
    return (
        "an NVIDIA GPU is idle here, as the engine sees only the CPU; install its CUDA build: pip install "
        "'cal-grpo[tunix,cuda]' for tunix, PyTorch's for trl"
    )
