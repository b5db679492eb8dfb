"""The sections of a run's config: what few people touch."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from cal_grpo.errors import UsageError
from cal_grpo.files import expanded_path

EMBEDDED = "embedded"
_LARGEST = 2**62
LoraModule = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LORA_MODULES: tuple[LoraModule, ...] = get_args(LoraModule)


def expanded(value: Any) -> Any:
    """A path with ``~`` and ``$VARIABLES`` filled in."""
    try:
        return expanded_path(value) if isinstance(value, str | Path) else value
    except UsageError as e:  # pydantic knows ValueErrors
        raise ValueError(str(e)) from e


ShellPath = Annotated[Path, BeforeValidator(expanded)]


class Section(BaseModel):
    """Every key has a default, and an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _counted(cls, value: Any) -> Any:
        """A whole number is one that machines count with: what is beyond cannot be counted to, nor divided."""
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise ValueError(f"expected at most {_LARGEST}")
        return value


class RolloutSection(Section):
    """How answers are sampled."""

    max_prompt_tokens: int | None = Field(None, ge=1, description="A longer prompt is skipped. Default: the task's.")
    max_new_tokens: int | None = Field(None, ge=1, description="Tokens of an answer at most. Default: the task's.")
    micro_batch_size: int | None = Field(
        None, ge=1, description="Questions sampled in one call; must divide batch_size. Default: all of an update."
    )
    temperature: float = Field(1.0, gt=0, description="Sampling temperature in training.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling; 1 samples from the whole distribution.")


class OptimizerSection(Section):
    """Adam."""

    warmup_steps: int = Field(0, ge=0, description="Linear warm-up of the learning rate, in updates.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this global norm.")
    b2: float = Field(0.99, gt=0, lt=1, description="Adam's second-moment decay.")


class LoraSection(Section):
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


class MeshSection(Section):
    """Devices of a run, fsdp x tp of them."""

    fsdp: int = Field(1, ge=1, description="Devices that share the batch and the parameters.")
    tp: int = Field(1, ge=1, description="Devices that share each layer; must divide its heads.")


class EvalSection(Section):
    """Greedy accuracy on held-out questions, before and after training, and in between."""

    every: int | None = Field(
        None, ge=1, description="Also every so many updates, and the best policy is kept in best/. Default: off."
    )
    batch_size: int = Field(64, ge=1, description="Questions generated at once.")


class OracleSection(Section):
    """How the oracle is asked."""

    timeout_s: float = Field(60.0, gt=0, description="Time limit of one answer, in seconds.")
    concurrency: int = Field(16, ge=1, description="Calls in flight at most.")
    attempts: int | None = Field(None, ge=1, description="Calls for one question at most. Default: 4, more to a server away.")
    patience_s: float = Field(60.0, ge=0, description="Seconds to wait for a server that is away, such as one that restarts.")
    ask_again: int = Field(1, ge=0, description="Times an LLM is asked again whose quote is not in the response.")
    few_shot: ShellPath | None = Field(None, description="JSON file of examples for an LLM oracle.")
    style: Literal["direct", "repair", "steps"] = Field(
        "direct", description="LLM: quote the error, repair and compare, or name the step's number."
    )
    corrections: bool = Field(False, description="Ask an LLM for what should have stood there, too; costs tokens.")
    max_answer_tokens: int | None = Field(None, ge=1, description="An LLM's answer is cut off there, thinking included.")
    cache: bool | ShellPath = Field(True, description="Keep an LLM's verdicts: true in the user's cache, false, or a file.")
    replay: ShellPath | None = Field(None, description="A run's judge.jsonl to answer from; nothing is asked.")
    rpm: float | None = Field(None, gt=0, description="Requests a minute at most.")
    tpm: float | None = Field(None, gt=0, description="Tokens a minute at most, as measured.")
    max_calls: int | None = Field(None, ge=1, description="Budget: calls, failed ones included.")
    max_tokens: int | None = Field(None, ge=1, description="Budget: tokens of prompts and answers.")
    max_usd: float | None = Field(None, gt=0, description="Budget: dollars; needs the model's price.")
    prices: ShellPath | None = Field(None, description="YAML of prices per million tokens; adds to the package's.")
    min_found: float = Field(
        0.5, ge=0, le=1, description="Warn where fewer of the last updates' wrong answers have a span; stop if on_miss raises."
    )
    on_budget: Literal["on_failure", "stop"] = Field(
        "on_failure", description="When the budget is spent: on_failure for the rows, or stop with a checkpoint."
    )
    breaker_failures: int = Field(10, ge=0, description="Questions failed in a row until the oracle rests; 0: never.")
    breaker_pause_s: float = Field(60.0, gt=0, description="Seconds until a resting oracle is tried again.")


class FieldsSection(Section):
    """The columns of a data file."""

    question: str | None = Field(
        None, description="Column of the question, text or chat messages. Default: question or prompt; in math problem."
    )
    answer: str | None = Field(
        None, description="Column of the answer. Default: answer, solution or reward_model.ground_truth; in math solution."
    )
    reference: str | None = Field(None, description="Column of a worked solution. Default: reference or solution, if there.")


class ChatSection(Section):
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


class LedgerSection(Section):
    """The default task."""

    steps: int = Field(8, ge=1, le=40, description="Times the quantity of a story changes.")


class CheckpointSection(Section):
    """Checkpoints of parameters and optimizer state."""

    every: int = Field(50, ge=1, description="Updates between checkpoints; the last state is always kept.")
    keep: int = Field(2, ge=1, description="Checkpoints kept.")
