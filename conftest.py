"""What all tests share."""

import gc
import os


def pytest_configure(config):
    """Compile each program once: many tests train the same toy policy, and children train the embedded one."""
    if getattr(config, "cache", None) is not None:  # pytest's can be switched off
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(config.cache.mkdir("compiled"))
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # toys spend their time compiling


def pytest_runtest_setup():
    """Set aside what is there: Tunix collects garbage twice a training, and to look through what the libraries alone hold takes
    half a second each time (tunix 0.1.7, rl/rl_cluster.py, 354, and sft/utils.py, 158)."""
    gc.collect()
    gc.freeze()
