"""An update that is not finite ends the run, and no checkpoint of it is written."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cal_grpo.engines.tunix.models import leaves
from cal_grpo.errors import RunFailed


def stop_when_not_finite(trainer: Any) -> None:
    """Make a Tunix trainer look at each update when it is made: loss, norm of the gradient, parameters, optimizer state.

    Tunix goes on with NaN and writes it over the last good checkpoint. It hands every update to the checkpoint manager,
    which knows whether to write it, and every micro-batch's numbers to ``_buffer_metrics`` (tunix 0.1.7,
    sft/peft_trainer.py, ``train``). The trainer then raises ``RunFailed`` instead of saving.
    """
    buffer, save = trainer._buffer_metrics, trainer.checkpoint_manager.save
    numbers: list[tuple[str, Any]] = []  # of the update so far, on the device

    def buffer_and_keep(metrics: Any, loss: Any, step: int, additional_metrics: Any = None) -> Any:
        if additional_metrics is not None:  # there are none in evaluation
            numbers.extend([("loss", loss), ("grad_norm", additional_metrics["grad_norm"][0])])
        return buffer(metrics, loss=loss, step=step, additional_metrics=additional_metrics)

    def check_and_save(step: int, *args: Any, **kwargs: Any) -> Any:
        wrong = [f"{name} {float(number)}" for name, number in numbers if not np.isfinite(number)]
        numbers.clear()
        for part, state in (("parameter", nnx.Param), ("optimizer state", nnx.optimizer.OptState)):
            owner = trainer.model if state is nnx.Param else trainer.optimizer
            wrong += [f"{part} {path}" for path in _not_finite(leaves(nnx.state(owner, state).to_pure_dict()))[:1]]
        if wrong:
            raise RunFailed(_message(step, wrong, trainer.checkpoint_manager.latest_step()), "not finite", step - 1)
        return save(step, *args, **kwargs)

    trainer._buffer_metrics = buffer_and_keep
    trainer.checkpoint_manager.save = check_and_save


def _not_finite(arrays: Mapping[str, jax.Array]) -> list[str]:
    """The paths of those arrays that hold NaN or infinity. Integers never do."""
    floats = {path: array for path, array in arrays.items() if jnp.issubdtype(array.dtype, jnp.inexact)}
    finite = jax.device_get([_finite(array) for array in floats.values()])
    return [path for path, fine in zip(floats, finite, strict=True) if not fine]


@jax.jit  # compiled once a shape, of which a model has few
def _finite(array: jax.Array) -> jax.Array:
    return jnp.isfinite(array).all()


def _message(step: int, wrong: list[str], kept: int | None) -> str:
    last = f"its last checkpoint, of update {kept}, is finite" if kept else "there was no checkpoint yet"
    return (
        f"update {step} is not finite ({', '.join(dict.fromkeys(wrong))}): the run was stopped, and {last}; "
        "begin again with a lower learning_rate, or look for the reward or credit that is not finite"
    )
