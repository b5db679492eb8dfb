"""The recipe's launch files, as far as the libraries read them without a GPU, vLLM or DeepSpeed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="TRL is not installed; make test-trl runs this")
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser

from cal_grpo.config import load_config
from cal_grpo.engines.trl.policy import lora_config
from cal_grpo.engines.trl.settings import model_settings, trl_settings

ROOT = Path(__file__).parents[3]
LAUNCH = ROOT / "examples" / "rl" / "cal_ppo" / "launch"
JOBS = sorted((LAUNCH / "accelerate").glob("*.yaml"))
RUNS = sorted(LAUNCH.glob("*.yaml"))
NAMES = ["full.yaml", "lora.yaml", "vllm_colocate.yaml", "vllm_server.yaml"]


def launcher(job, *arguments):
    """What ``accelerate launch`` makes of a file and options: its resolved arguments."""
    parser = launch_command_parser()
    given = parser.parse_args(["--config_file", str(job), *arguments, "-m", "cal_grpo", "train"])
    return _validate_launch_command(given)[0]


def test_the_files_are_those_that_are_tested():
    assert [file.name for file in RUNS] == NAMES
    assert [file.name for file in JOBS] == ["cpu.yaml", "fsdp2.yaml", "gpus.yaml", "zero3.yaml"]


@pytest.mark.parametrize(
    ("name", "kind", "precision"),
    [("cpu", "MULTI_GPU", "no"), ("gpus", "MULTI_GPU", "bf16"), ("zero3", "DEEPSPEED", "bf16"), ("fsdp2", "FSDP", "bf16")],
)
def test_accelerate_reads_each_job(name, kind, precision):
    job = load_config_from_file(str(LAUNCH / "accelerate" / f"{name}.yaml"))
    assert (job.distributed_type.value, job.mixed_precision, job.num_processes) == (kind, precision, 2)
    assert job.use_cpu is (name == "cpu")


@pytest.mark.parametrize("job", JOBS, ids=lambda file: file.stem)
def test_a_job_uses_keys_that_the_launcher_has(job):
    """accelerate passes over a key of these sections that it does not know."""
    options = vars(launch_command_parser().parse_args(["script.py"]))
    read = load_config_from_file(str(job))
    assert set(read.deepspeed_config) | set(read.fsdp_config) <= set(options)


def test_the_launcher_takes_what_the_jobs_say():
    taken = {job.stem: launcher(job) for job in JOBS}
    kinds = {name: (args.multi_gpu, args.use_deepspeed, args.use_fsdp) for name, args in taken.items()}
    assert kinds == {
        "cpu": (True, False, False), "gpus": (True, False, False), "zero3": (False, True, False), "fsdp2": (False, False, True),
    }  # fmt: skip
    assert (taken["zero3"].zero_stage, taken["zero3"].zero3_init_flag) == (3, False)
    assert (taken["fsdp2"].fsdp_version, taken["fsdp2"].fsdp_cpu_ram_efficient_loading) == (2, False)
    assert launcher(LAUNCH / "accelerate" / "gpus.yaml", "--num_processes", "8").num_processes == 8


@pytest.mark.parametrize("run", RUNS, ids=lambda file: file.stem)
def test_trl_takes_the_settings_of_each_run(run):
    config = load_config(run)
    settings = trl_settings(config)
    assert (config.engine, config.credit) == ("trl", "even")
    assert (settings.bf16, settings.gradient_checkpointing, settings.loss_type) == (True, True, "dapo")
    rows = settings.per_device_train_batch_size * settings.gradient_accumulation_steps
    assert rows == config.batch_size * config.num_generations == 64


@pytest.mark.parametrize("run", RUNS, ids=lambda file: file.stem)
@pytest.mark.parametrize("processes", [2, 4, 8])
def test_so_many_processes_divide_a_runs_forward_pass(run, processes):
    config = load_config(run)
    assert config.micro_batch_size * config.num_generations % processes == 0


def test_each_run_is_what_its_name_says():
    full, lora, colocate, server = (load_config(LAUNCH / name) for name in NAMES)
    assert full.lora.rank is None
    assert model_settings(full.trl) == {"dtype": "float32"}
    assert model_settings(lora.trl) == {"dtype": "bfloat16"}
    assert lora_config(lora.lora).r == 16
    made = trl_settings(colocate)
    assert (made.use_vllm, made.vllm_mode) == (True, "colocate")
    assert made.vllm_max_model_length == colocate.rollout.max_prompt_tokens + colocate.rollout.max_new_tokens
    made = trl_settings(server)
    assert (made.use_vllm, made.vllm_mode, made.vllm_server_base_url) == (True, "server", "http://127.0.0.1:8000")


def test_the_job_on_cpus_starts_two_processes_that_speak_gloo(tmp_path):
    script = tmp_path / "where.py"  # cpu=True is what a run says where there is no GPU
    script.write_text(
        "import pathlib, sys\nfrom accelerate import PartialState\nfrom accelerate.utils import gather_object\n"
        "state = PartialState(cpu=True)\nfound = gather_object([state.process_index])\n"
        "state.is_main_process and pathlib.Path(sys.argv[1]).write_text(f'{found} {state.backend} {state.device.type}')\n"
        "state.destroy_process_group()\n"
    )
    job = ["--config_file", LAUNCH / "accelerate" / "cpu.yaml", "--main_process_port", "0"]
    command = [sys.executable, "-m", "accelerate.commands.launch", *job, script, tmp_path / "told"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    ran = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "told").read_text() == "[0, 1] gloo cpu"
