"""The device mesh of a run."""

import jax


def make_mesh(fsdp: int = 1, tp: int = 1) -> jax.sharding.Mesh:
    """A mesh with the axes that Tunix's models name, ``("fsdp", "tp")``.

    Axes are Auto: current jax makes Explicit ones by default and Tunix's models then fail with a sharding error
    (tunix 0.1.7 with jax 0.10).
    """
    auto = (jax.sharding.AxisType.Auto,) * 2
    return jax.make_mesh((fsdp, tp), ("fsdp", "tp"), axis_types=auto, devices=jax.devices()[: fsdp * tp])
