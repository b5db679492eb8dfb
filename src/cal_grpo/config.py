"""Everything a run depends on, in one checked object.

The top-level keys are the lower-case names of the recipe's environment variables; sections hold what few people touch.
A run's ``config.yaml`` is this object, resolved, and reproduces the run together with the code's version.
"""

import contextlib
import difflib
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cal_grpo.credit import FORMULAS, Weights, formula
from cal_grpo.errors import UsageError
from cal_grpo.pipeline import OnTrouble
from cal_grpo.plugins import is_path

EMBEDDED = "embedded"
LoraModule = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LORA_MODULES: tuple[LoraModule, ...] = get_args(LoraModule)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class RolloutSection(_Section):
    """How answers are sampled."""

    max_prompt_tokens: int | None = Field(None, ge=1, description="A longer prompt is skipped. Default: the task's.")
    max_new_tokens: int | None = Field(None, ge=1, description="Tokens of an answer at most. Default: the task's.")
    temperature: float = Field(1.0, gt=0, description="Sampling temperature in training.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling; 1 samples from the whole distribution.")


class OptimizerSection(_Section):
    """Adam."""

    warmup_steps: int = Field(0, ge=0, description="Linear warm-up of the learning rate, in updates.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this global norm.")
    b2: float = Field(0.99, gt=0, lt=1, description="Adam's second-moment decay.")


class LoraSection(_Section):
    """Train low-rank adapters beside the linear layers instead of all weights."""

    rank: int | None = Field(None, ge=1, description="Rank of the adapters; unset trains all weights.")
    alpha: float | None = Field(None, gt=0, description="The adapters' output is scaled by alpha / rank. Default: 2 x rank.")
    modules: tuple[LoraModule, ...] = Field(LORA_MODULES, min_length=1, description="Linear layers that get an adapter.")
    save_adapter: bool = Field(False, description="Also write the adapter alone, in PEFT's format, to adapter/.")

    @property
    def scale(self) -> float:
        """Factor of the adapters' output."""
        return 2.0 if self.alpha is None else self.alpha / (self.rank or 1)

    @model_validator(mode="after")
    def _check(self) -> "LoraSection":
        for name in ("alpha", "modules", "save_adapter") if self.rank is None else ():
            if getattr(self, name) != LoraSection.model_fields[name].default:
                raise ValueError(f"lora.{name} is set and lora.rank is not; set lora.rank, such as 8")
        return self


class MeshSection(_Section):
    """Devices of a run, fsdp x tp of them."""

    fsdp: int = Field(1, ge=1, description="Devices that share the batch and the parameters.")
    tp: int = Field(1, ge=1, description="Devices that share each layer; must divide its heads.")


class EvalSection(_Section):
    """Greedy accuracy on held-out questions, before and after training."""

    batch_size: int = Field(64, ge=1, description="Questions generated at once.")


class OracleSection(_Section):
    """How the oracle is asked."""

    timeout_s: float = Field(60.0, gt=0, description="Time limit of one answer, in seconds.")
    concurrency: int = Field(16, ge=1, description="Calls in flight at most.")
    attempts: int = Field(4, ge=1, description="Calls for one question at most; only what may pass is tried again.")
    few_shot: Path | None = Field(None, description="JSON file of examples for an LLM oracle.")
    style: Literal["direct", "repair"] = Field("direct", description="LLM: quote the error, or repair and compare.")
    max_answer_tokens: int | None = Field(None, ge=1, description="An LLM's answer is cut off there, thinking included.")
    cache: bool | Path = Field(True, description="Keep an LLM's verdicts: true in the user's cache, false, or a file.")
    replay: Path | None = Field(None, description="A run's judge.jsonl to answer from; nothing is asked.")
    rpm: float | None = Field(None, gt=0, description="Requests a minute at most.")
    tpm: float | None = Field(None, gt=0, description="Tokens a minute at most, as measured.")
    max_calls: int | None = Field(None, ge=1, description="Budget: calls, failed ones included.")
    max_tokens: int | None = Field(None, ge=1, description="Budget: tokens of prompts and answers.")
    max_usd: float | None = Field(None, gt=0, description="Budget: dollars; needs the model's price.")
    prices: Path | None = Field(None, description="YAML of prices per million tokens; adds to the package's.")
    on_budget: Literal["on_failure", "stop"] = Field(
        "on_failure", description="When the budget is spent: on_failure for the rows, or stop with a checkpoint."
    )
    breaker_failures: int = Field(10, ge=0, description="Questions failed in a row until the oracle rests; 0: never.")
    breaker_pause_s: float = Field(60.0, gt=0, description="Seconds until a resting oracle is tried again.")


class FieldsSection(_Section):
    """The columns of a data file."""

    question: str | None = Field(
        None, description="Column of the question, text or chat messages. Default: question or prompt; in math problem."
    )
    answer: str | None = Field(
        None, description="Column of the answer. Default: answer, solution or reward_model.ground_truth; in math solution."
    )
    reference: str | None = Field(None, description="Column of a worked solution. Default: reference or solution, if there.")


class ChatSection(_Section):
    """What the policy is shown beside the question."""

    system: str | None = Field(None, description="System prompt. Default: the data's or the task's, if any; empty: none.")
    answer_format: str | None = Field(None, description="Shown behind every question. Default: the task's; empty: none.")
    template_arguments: dict[str, Any] = Field({}, description="Passed to the chat template, such as enable_thinking: false.")

    @model_validator(mode="after")
    def _check(self) -> "ChatSection":
        for name in (
            "conversation",
            "messages",
            "add_generation_prompt",
            "continue_final_message",
            "tokenize",
            "chat_template",
        ):
            if name in self.template_arguments:
                raise ValueError(f"chat.template_arguments holds {name!r}, which the engine sets; leave it out")
        return self


class LedgerSection(_Section):
    """The default task."""

    steps: int = Field(8, ge=1, le=40, description="Times the quantity of a story changes.")


class CheckpointSection(_Section):
    """Checkpoints of parameters and optimizer state."""

    every: int = Field(50, ge=1, description="Updates between checkpoints; the last state is always kept.")
    keep: int = Field(2, ge=1, description="Checkpoints kept.")


class TrainConfig(_Section):
    """A training run. Every key has a default; an unknown key is an error that names the nearest."""

    model_config = ConfigDict(protected_namespaces=())  # model_id

    engine: str = Field("tunix", description="Training library: tunix.")
    model_id: str = Field(EMBEDDED, description="Hugging Face folder or hub id; 'embedded' is the policy in the package.")
    task: str = Field("ledger", description="ledger, gsm_symbolic, gsm8k, math, jsonl with --data, or your own as module:name.")
    data: Path | None = Field(
        None, description="JSONL, JSON or Parquet file of questions, or a dataset of the hub as owner/name:config:split."
    )
    output_dir: Path | None = Field(None, description="Run folder; a fresh one under runs/ by default.")
    overwrite: bool = Field(False, description="Allow an output_dir that already holds a run.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seeds data order, rollouts and every other draw.")

    use_cal: bool = Field(True, description="False is the engine's own GRPO, bit for bit; keys of credit do not apply.")
    credit: str = Field("prefix", description="Formula that turns error spans into advantages.")
    negative_reward: float = Field(-1.0, description="Advantage of a blamed token; below 0.")
    prefix_reward: float = Field(0.3, description="Advantage of the tokens before the error.")
    prefix_share: float = Field(0.5, description="Share of these tokens that prefix_shortened and vppo pay.")
    mask_probability: float = Field(0.9, description="probability_mask leaves out tokens that were at least this likely.")
    on_miss: OnTrouble = Field(
        "mean", description="Wrong row without a span: as those found on the average, group credit, zero or stop."
    )
    on_failure: OnTrouble = Field("mean", description="The same for a failed call.")
    on_truncated: OnTrouble = Field("mean", description="The same for an answer that was cut off; nobody is asked about it.")
    train_end_token: bool = Field(True, description="Train the token that ended an answer, with the last token's credit.")
    max_span_tokens: int = Field(64, ge=1, description="A longer span is refused.")
    on_ambiguous: Literal["first", "miss"] = Field("first", description="A quote that occurs twice and no hint decides.")
    cal_provider: str = Field(
        "reference", description="Oracle: reference, arithmetic, openai, gemini, local, or 'reference@0.6 > openai'."
    )
    cal_model: str | None = Field(None, description="Model name for openai and gemini; folder for local.")
    cal_base_url: str | None = Field(None, description="Server for openai; default OPENAI_BASE_URL.")

    reward: tuple[str, ...] = Field((), description="Reward functions of your own as module:name, instead of grading.")

    num_generations: int = Field(8, description="Answers a question, the group.")
    batch_size: int = Field(8, ge=1, description="Questions an update.")
    micro_batch_size: int | None = Field(None, ge=1, description="Questions a forward pass; must divide batch_size.")
    remat: bool = Field(False, description="Recompute layers in the backward pass: less memory, more time.")
    num_train_steps: int = Field(30, ge=1, description="Optimizer updates.")
    learning_rate: float = Field(2e-4, gt=0, description="Adam's learning rate after warm-up.")
    beta: float = Field(0.02, ge=0, description="Weight of the KL term to the reference policy.")
    epsilon: float = Field(0.2, gt=0, description="PPO clip.")
    max_train_samples: int | None = Field(None, ge=1, description="Questions to train on; repeated when fewer than needed.")
    max_eval_samples: int = Field(256, ge=0, description="Held-out questions; 0 skips evaluation.")
    sample_share: float = Field(1.0, ge=0, le=1, description="Share of rollouts written to samples.jsonl.")
    tracker: tuple[str, ...] = Field(
        ("tensorboard",), description="Where metrics go beside metrics.jsonl: tensorboard, wandb, trackio, several, or none."
    )

    rollout: RolloutSection = RolloutSection()
    optimizer: OptimizerSection = OptimizerSection()
    lora: LoraSection = LoraSection()
    mesh: MeshSection = MeshSection()
    eval: EvalSection = EvalSection()
    oracle: OracleSection = OracleSection()
    fields: FieldsSection = FieldsSection()
    chat: ChatSection = ChatSection()
    ledger: LedgerSection = LedgerSection()
    checkpoint: CheckpointSection = CheckpointSection()

    @field_validator("tracker", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """``a,b`` is a list too; ``none`` and null are none."""
        names = value.split(",") if isinstance(value, str) else value or ()
        if not isinstance(names, list | tuple):
            return value
        stripped = [name.strip() if isinstance(name, str) else name for name in names]
        return tuple(dict.fromkeys(name for name in stripped if name not in ("", "none")))

    parts: dict[str, str] = Field({}, description="Kept by the program: where parts of your own came from.")

    @field_validator("reward", mode="before")
    @classmethod
    def _one_reward_or_several(cls, value: Any) -> Any:
        return [name.strip() for name in value.split(",")] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> "TrainConfig":
        if self.credit not in FORMULAS and not is_path(self.credit) and "credit" not in self.parts:
            formula(self.credit)  # a registered name; the module of a path is imported by the run that needs it
        self.weights()
        if self.num_generations < 2:
            raise ValueError(f"num_generations is {self.num_generations}; expected at least 2: credit is relative to a group")
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"micro_batch_size {self.micro_batch_size} does not divide batch_size {self.batch_size}; choose a divisor"
            )
        rows = (self.micro_batch_size or self.batch_size) * self.num_generations
        if rows % self.mesh.fsdp:
            raise ValueError(
                f"mesh.fsdp {self.mesh.fsdp} does not divide the {rows} answers of a forward pass (questions x "
                "num_generations); choose a divisor"
            )
        if "@" in (self.cal_base_url or "").partition("//")[2].partition("/")[0]:
            raise ValueError("cal_base_url holds a user or password, which config.yaml would keep; set OPENAI_BASE_URL instead")
        return self

    @property
    def method(self) -> str:
        """What a run is called: its credit, or ``tunix-grpo`` where it is the engine's own trainer."""
        return self.credit if self.use_cal else f"{self.engine}-grpo"

    def weights(self) -> Weights:
        """The numbers of the credit formula."""
        return Weights(self.negative_reward, self.prefix_reward, self.prefix_share, self.mask_probability)

    def fitted(self, prompt_tokens: int, answer_tokens: int) -> "TrainConfig":
        """This config with the task's lengths where none were given."""
        rollout = self.rollout.model_copy(
            update={
                "max_prompt_tokens": self.rollout.max_prompt_tokens or prompt_tokens,
                "max_new_tokens": self.rollout.max_new_tokens or answer_tokens,
            }
        )
        return self.model_copy(update={"rollout": rollout})

    def to_yaml(self) -> str:
        """The resolved config, as ``config.yaml`` holds it."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def load_config(file: Path | None = None, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """A config from a YAML file and dotted overrides (``{"rollout.temperature": 0.7}``), which win.

    Raises:
        UsageError: unreadable file, unknown key (the nearest is named) or bad value; one line.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as e:  # ValueError: no UTF-8, or a date that is none
            raise UsageError(f"{file}: cannot be read as YAML ({' '.join(str(e).split())}); check the path and syntax") from e
        if not isinstance(values, dict):
            raise UsageError(f"{file}: holds a {type(values).__name__}; expected keys and values")
    for dotted, value in (overrides or {}).items():
        *sections, key = dotted.split(".")
        target = values
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise UsageError(f"{dotted}: {section} is a value, not a section; use a top-level key without a dot")
        target[key] = value
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as e:
        raise UsageError(_one_line(e)) from e


def parse_override(text: str, option: str = "--set") -> tuple[str, Any]:
    """``key=value`` with a YAML value: numbers, booleans and null mean what they look like, all else is text.

    Raises:
        UsageError: it has no ``=``; the message says what ``option`` got.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"{option} got {text!r}; expected key=value, such as learning_rate=1e-4")
    parsed: Any = value
    with contextlib.suppress(yaml.YAMLError, ValueError):  # ValueError: a date that is none
        parsed = yaml.safe_load(value)
    if isinstance(parsed, str):  # YAML 1.1 reads 1e-4 as text
        with contextlib.suppress(ValueError):
            parsed = float(parsed)
    return key.strip(), parsed


def known_keys() -> list[str]:
    """Every key, sections dotted."""
    keys = []
    for name, field in TrainConfig.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            keys += [f"{name}.{inner}" for inner in section.model_fields]
        else:
            keys.append(name)
    return keys


def described_keys() -> list[tuple[str, str, str]]:
    """(key, default, meaning) of every key; the default of one that is not set is a dash."""
    defaults = TrainConfig().model_dump(mode="json")
    rows = []
    for key in known_keys():
        section, _, inner = key.partition(".")
        field, default = TrainConfig.model_fields[section], defaults[section]
        if inner:
            field, default = field.annotation.model_fields[inner], default[inner]  # type: ignore[union-attr]
        rows.append((key, "-" if default is None else str(default), field.description or ""))
    return rows


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known_keys(), n=1, cutoff=0.5)
        return f"unknown config key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "; see cal-grpo train --keys")
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{key} = {first['input']!r:.100}: {message}" if key else message
