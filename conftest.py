"""What all tests share."""

import os


def pytest_configure(config):
    """Compile each program once: many tests train the same toy policy, and children train the embedded one."""
    if getattr(config, "cache", None) is not None:  # pytest's can be switched off
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(config.cache.mkdir("compiled"))
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")  # toys spend their time compiling
