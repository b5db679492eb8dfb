#!/usr/bin/env bash
# The measurement on one GPU, part after part; a part whose JSON is there is skipped. README.md says what each is.
#
#   RESULTS=DIR MODEL=FOLDER DATA=train.jsonl bash benchmarks/gpu/run.sh [PART ...]
#
# BUDGET: seconds after which it stops by itself, with status 124; the same command goes on where it stopped.
# PIECES: a folder of folders of pieces (pieces.py) that are joined first, each to WORK/NAME; `wheels` among them is installed.
# DRY=1: the embedded policy, tiny sizes, on the CPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${RESULTS:?set RESULTS to a folder for the JSON files}" "${PYTHON:=python3}" "${WORK:=$RESULTS/work}" "${BUDGET:=840}"
export PYTHONPATH="$PWD/src:$PWD/benchmarks${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
read -ra parts <<< "${*:-setup plan demo_trl demo_tunix base credit grpo verdict}"

demo=(--updates 10)
task=()
arm=(--seconds "${SECONDS_AN_ARM:-170}" --questions "${QUESTIONS:-512}")
if [ -n "${DRY:-}" ]; then
  export CUDA_VISIBLE_DEVICES="" JAX_PLATFORMS=cpu
  tiny=(--set batch_size=1 --set num_generations=2 --set micro_batch_size=1 --set rollout.max_new_tokens=8)
  demo=(--updates 2 --anywhere "${tiny[@]}" --set ledger.steps=2)
  task=("${tiny[@]}" --set num_train_steps=2 --set eval.batch_size=2)
  arm=(--seconds 600 --questions 2)
  MODEL=embedded
fi

# Runs a command for as long as is left. One that is ended has written no JSON: its part begins again. Not by SIGTERM, upon which a
# run would save what it has, and answer the held-out questions with it.
limited() {
  local status=124 left=$((BUDGET - SECONDS))
  if [ "$left" -gt 0 ]; then timeout --signal=ALRM --kill-after=5 "$left" "$@" && return || status=$?; fi
  if [ "$SECONDS" -lt "$BUDGET" ]; then exit "$status"; fi
  echo "run.sh: $BUDGET s are over in $part; the same command goes on" >&2
  exit 124
}
setup() {
  mkdir -p "$WORK"
  if [ -n "${PIECES:-}" ]; then
    for folder in "$PIECES"/*/; do
      limited "$PYTHON" benchmarks/gpu/pieces.py join "$folder" --to "$WORK/$(basename "$folder")"
    done
  fi
  if [ -d "$WORK/wheels" ] && [ ! -d "$WORK/site" ]; then
    # What the machine has stays: the wheels are those that it lacks, without their needs.
    limited "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --target "$WORK/site.part" "$WORK"/wheels/*.whl
    mv "$WORK/site.part" "$WORK/site"
  fi
}
gsm8k() {
  limited "$PYTHON" -m gpu.gsm8k "$1" --results "$RESULTS" --model "${MODEL:-$WORK/model}" --data "${DATA:?set DATA to a JSONL file}" \
    "${arm[@]}" "${task[@]}"
}

if [ -d "$WORK/site" ]; then export PYTHONPATH="$PYTHONPATH:$WORK/site"; fi
for part in "${parts[@]}"; do
  case "$part" in
    setup) setup; if [ -d "$WORK/site" ]; then export PYTHONPATH="$PYTHONPATH:$WORK/site"; fi ;;
    plan) limited "$PYTHON" -m gpu.detect --results "$RESULTS" --questions "${arm[3]}" ;;
    demo_trl | demo_tunix) limited "$PYTHON" -m gpu.demo --results "$RESULTS" --engine "${part#demo_}" "${demo[@]}" ;;
    base | credit | grpo) gsm8k "$part" ;;
    verdict) limited "$PYTHON" -m gpu.gsm8k verdict --results "$RESULTS" ;;
    *) echo "run.sh: no part $part; expected setup, plan, demo_trl, demo_tunix, base, credit, grpo or verdict" >&2; exit 2 ;;
  esac
done
