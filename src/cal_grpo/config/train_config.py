"""Everything a run depends on, in one checked object.

The top-level keys are the lower-case names of the recipe's environment variables. A run's ``config.yaml`` is this object,
resolved, and reproduces the run together with the code's version.
"""

import re
from typing import Any, Literal
from urllib.parse import parse_qsl

import yaml
from pydantic import ConfigDict, Field, field_validator, model_validator

from cal_grpo.config.preset import over_preset
from cal_grpo.config.sections import (
    EMBEDDED,
    ChatSection,
    CheckpointSection,
    EvalSection,
    FieldsSection,
    LedgerSection,
    LoraSection,
    MeshSection,
    OptimizerSection,
    OracleSection,
    RolloutSection,
    Section,
    ShellPath,
    expanded,
)
from cal_grpo.credit import (
    FORMULAS,
    Baseline,
    Copies,
    Corrections,
    OnTrouble,
    Weights,
    check_baseline,
    check_corrections,
    formula,
)
from cal_grpo.plugins import is_path

_SECRET = re.compile(r"key|token|secret|pass|pwd|auth|sig|cred|subscription", re.IGNORECASE)


class TrainConfig(Section):
    """A training run. Every key has a default; an unknown key is an error that names the nearest."""

    model_config = ConfigDict(protected_namespaces=())  # model_id

    preset: str | None = Field(
        None, description="Settings of the package below all others, by name, or none. Default: those for the model's size."
    )
    engine: str = Field("tunix", description="Training library: tunix (JAX) or trl (PyTorch).")
    model_id: str = Field(EMBEDDED, description="Hugging Face folder or hub id; 'embedded' is the policy in the package.")
    task: str = Field("ledger", description="ledger, gsm_symbolic, gsm8k, math, jsonl with --data, or your own as module:name.")
    data: ShellPath | None = Field(
        None, description="JSONL, JSON or Parquet file of questions, or a dataset of the hub as owner/name:config:split."
    )
    output_dir: ShellPath | None = Field(None, description="Run folder; a fresh one under runs/ by default.")
    overwrite: bool = Field(False, description="Allow an output_dir that already holds a run.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seeds data order, rollouts and every other draw.")

    use_cal: bool = Field(True, description="False is the engine's own GRPO, bit for bit; keys of credit do not apply.")
    credit: str = Field(
        "prefix", description=f"Formula that turns error spans into advantages: {', '.join(FORMULAS)}, or module:name."
    )
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
    corrections: Corrections = Field(
        "off", description="Learn what the oracle says should have stood there: its first step, or the rest if it ends right."
    )
    correction_weight: float = Field(1.0, description="Weight of a correction's tokens; 0 learns nothing.")
    correction_copies: Copies = Field(
        "keep", description="A correction in the reference's own words, in an answer of another form: keep or drop."
    )
    max_span_tokens: int = Field(64, ge=1, description="A longer span is refused.")
    on_ambiguous: Literal["first", "miss"] = Field("first", description="A quote that occurs twice and no hint decides.")
    cal_provider: str = Field(
        "reference", description="Oracle: reference, arithmetic, openai, gemini, local, or 'reference@0.6 > openai'."
    )
    cal_model: str | None = Field(None, description="The judge: model name for openai and gemini; folder for local.")
    cal_base_url: str | None = Field(None, description="The judge's server; openai's default is OPENAI_BASE_URL.")

    reward: tuple[str, ...] = Field((), description="Reward functions of your own as module:name, instead of grading.")

    num_generations: int = Field(8, description="Answers a question, the group; 1 with baseline=batch.")
    baseline: Baseline = Field(
        "group", description="What an answer is compared with: the others to its question, or batch: all of its update."
    )
    batch_size: int = Field(8, ge=1, description="Questions an update.")
    micro_batch_size: int | None = Field(
        None, ge=1, description="Questions a forward pass of the training; must divide batch_size."
    )
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
    trl: dict[str, Any] = Field({}, description="Engine trl: settings of its GRPOConfig, such as trl.bf16=true.")
    eval: EvalSection = EvalSection()
    oracle: OracleSection = OracleSection()
    fields: FieldsSection = FieldsSection()
    chat: ChatSection = ChatSection()
    ledger: LedgerSection = LedgerSection()
    checkpoint: CheckpointSection = CheckpointSection()

    @field_validator("model_id", "cal_model")
    @classmethod
    def _folder(cls, value: str | None) -> str | None:
        """A folder may be written as a shell has it; a name never looks so."""
        return str(expanded(value)) if value and (value.startswith("~") or "$" in value) else value

    @field_validator("corrections", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        """YAML 1.1 reads ``off`` as false."""
        return "off" if value is False else value

    @field_validator("tracker", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """``a,b`` is a list too; ``none`` and null are none."""
        names = value.split(",") if isinstance(value, str) else value or ()
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            return value
        return tuple(dict.fromkeys(name for name in map(str.strip, names) if name not in ("", "none")))

    parts: dict[str, str] = Field({}, description="Kept by the program: where parts of your own came from.")

    @field_validator("reward", mode="before")
    @classmethod
    def _one_reward_or_several(cls, value: Any) -> Any:
        return [name.strip() for name in value.split(",")] if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _over_preset(cls, values: Any) -> Any:
        return over_preset(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _check(self) -> "TrainConfig":
        if self.credit not in FORMULAS and not is_path(self.credit) and "credit" not in self.parts:
            formula(self.credit)  # a registered name; the module of a path is imported by the run that needs it
        self.weights()
        check_corrections(self.corrections, self.correction_weight, self.correction_copies, use_cal=self.use_cal)
        answers = self.batch_size * self.num_generations
        check_baseline(self.baseline, self.num_generations, use_cal=self.use_cal, rows=answers)
        for key, questions in (
            ("micro_batch_size", self.micro_batch_size),
            ("rollout.micro_batch_size", self.rollout.micro_batch_size),
        ):
            if self.batch_size % (questions or 1):
                raise ValueError(f"{key} {questions} does not divide batch_size {self.batch_size}; choose a divisor")
            if (rows := (questions or self.batch_size) * self.num_generations) % self.mesh.fsdp:
                what = "call of the sampler" if key.startswith("rollout") else "forward pass"
                raise ValueError(
                    f"mesh.fsdp {self.mesh.fsdp} does not divide the {rows} answers of a {what} (questions x num_generations); "
                    "choose a divisor"
                )
        if self.trl and self.engine != "trl":
            raise ValueError(
                f"trl.{next(iter(self.trl))} is set and the engine is {self.engine}; set engine=trl, or leave it out"
            )
        if "@" in (self.cal_base_url or "").partition("//")[2].partition("/")[0]:
            raise ValueError("cal_base_url holds a user or password, which config.yaml would keep; set OPENAI_BASE_URL instead")
        query = (self.cal_base_url or "").partition("#")[0].partition("?")[2]
        if secret := next((name for name, _ in parse_qsl(query) if _SECRET.search(name)), None):
            raise ValueError(f"cal_base_url holds {secret}=..., which config.yaml would keep; set OPENAI_BASE_URL instead")
        return self

    @property
    def method(self) -> str:
        """What a run is called: its credit, or ``tunix-grpo`` where it is the engine's own trainer."""
        return self.credit if self.use_cal else f"{self.engine}-grpo"

    @property
    def teaches(self) -> bool:
        """Whether corrections are learned."""
        return self.use_cal and self.corrections != "off" and self.correction_weight > 0

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
