#!/usr/bin/env bash
# Runs the recipe with whatever the environment and the arguments (key=value) say; PYTHON picks the interpreter.
set -euo pipefail
# On a CPU, XLA's concurrent scheduler (jaxlib 0.10.2) keeps twice as many logits alive in a train step; GPUs and TPUs ignore it.
export XLA_FLAGS="${XLA_FLAGS---xla_cpu_enable_concurrency_optimized_scheduler=false}"
# glibc gives freed buffers from this many bytes on back to the system, instead of keeping gigabytes of them.
export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_-1048576}" MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_-1048576}"
exec "${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/cal_gsm8k.py" "$@"
