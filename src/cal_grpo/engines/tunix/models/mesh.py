"""The device mesh of a run."""

import os
from typing import Any

import jax
from flax import nnx

from cal_grpo.errors import UsageError, one_line

AXES = ("fsdp", "tp")


def make_mesh(fsdp: int = 1, tp: int = 1) -> jax.sharding.Mesh:
    """A mesh with the axes that Tunix's models name: ``fsdp`` splits the batch and the parameters, ``tp`` the heads.

    Axes are Auto: current jax makes Explicit ones by default and Tunix's models then fail with a sharding error
    (tunix 0.1.7 with jax 0.10).

    Raises:
        UsageError: there are fewer devices, or none of the kind that ``JAX_PLATFORMS`` asks for.
    """
    try:
        devices = jax.devices()
    except (RuntimeError, AssertionError) as e:  # the second without a word (jax 0.10, _src/xla_bridge.py, ``backends``)
        wanted, why = os.environ.get("JAX_PLATFORMS") or "any device", one_line(str(e)) or "it has no such backend"
        raise UsageError(
            f"JAX cannot run on {wanted} ({why:.120}); install JAX for it, such as pip install "
            "'cal-grpo[tunix,cuda]', or unset JAX_PLATFORMS"
        ) from e
    if fsdp * tp > len(devices):
        raise UsageError(
            f"mesh: fsdp={fsdp} x tp={tp} needs {fsdp * tp} devices and jax sees {len(devices)} ({devices[0].platform}); "
            "make the mesh smaller, or set XLA_FLAGS=--xla_force_host_platform_device_count=N for virtual CPU devices"
        )
    auto = (jax.sharding.AxisType.Auto,) * 2
    return jax.make_mesh((fsdp, tp), AXES, axis_types=auto, devices=devices[: fsdp * tp])


def check_mesh(mesh: jax.sharding.Mesh, abstract: nnx.Module, where: str) -> None:
    """Refuse a mesh that does not divide the parameters of a model.

    Raises:
        UsageError: it does not; the message names the first parameter.
    """
    state = nnx.state(abstract, nnx.Param)
    specs = jax.tree.leaves(nnx.get_partition_spec(state), is_leaf=lambda x: isinstance(x, jax.sharding.PartitionSpec))
    for (path, leaf), spec in zip(jax.tree.leaves_with_path(state.to_pure_dict()), specs, strict=True):
        for size, axis in zip(leaf.shape, spec, strict=False):
            if axis is not None and size % mesh.shape[axis]:
                raise UsageError(
                    f"{where}: mesh.{axis}={mesh.shape[axis]} does not divide an axis of {size} of {_dotted(path)}; "
                    "choose a divisor"
                )


def _dotted(path: tuple[Any, ...]) -> str:
    return ".".join(str(getattr(key, "key", key)) for key in path)
