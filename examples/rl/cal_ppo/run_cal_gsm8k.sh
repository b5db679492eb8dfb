#!/usr/bin/env bash
# Runs the recipe with whatever the environment says; PYTHON picks the interpreter.
set -euo pipefail
exec "${PYTHON:-python}" "$(dirname "${BASH_SOURCE[0]}")/cal_gsm8k.py" "$@"
