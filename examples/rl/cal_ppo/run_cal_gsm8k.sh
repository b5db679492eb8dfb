#!/usr/bin/env bash
# Runs the recipe with whatever the environment and the arguments (key=value) say; PYTHON picks the interpreter.
set -euo pipefail
exec "${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/cal_gsm8k.py" "$@"
