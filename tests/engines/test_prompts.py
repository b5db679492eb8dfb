import copy
import itertools
import json

import pytest
from transformers import AutoTokenizer

from cal_grpo.engines.reading import batches, fitting, prompt_ids, prompts_of, render
from cal_grpo.engines.tunix.models import load_policy, make_mesh
from cal_grpo.errors import UsageError
from cal_grpo.policies import EMBEDDED
from cal_grpo.tasks import Example, TaskData


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(EMBEDDED)


def examples(*questions):
    return [Example(question, str(i), f"#### {i}") for i, question in enumerate(questions)]


def test_a_prompt_over_the_limit_is_skipped_whole_and_counted(tokenizer):
    short, long = "How many?", "How many? " * 30
    limit = len(tokenizer.encode(render(short, tokenizer)))
    kept, skipped = fitting(examples(short, long, short), tokenizer, limit, "training")
    assert [example.question for _, example in kept] == [short, short]
    assert skipped == 1
    assert kept[0][0].endswith("<|im_start|>assistant\n")  # the template is never cut
    with pytest.raises(UsageError, match=f"all 1 training prompts are longer than rollout.max_prompt_tokens={limit}; raise it"):
        fitting(examples(long), tokenizer, limit, "training")


THINKING = (
    "{%- for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{%- endfor %}<assistant>"
    "{%- if enable_thinking is defined and not enable_thinking %}<think></think>{%- endif %}"
)


def shown(tokenizer, task, **arguments):
    (pair,), _ = fitting(task.train, tokenizer, 1000, "training", prompts_of(task, tokenizer, arguments))
    return pair[0]


def test_nothing_set_leaves_a_prompt_as_it_was(tokenizer):
    task = TaskData(examples("How many?"), [], 9, 9)
    assert shown(tokenizer, task) == render("How many?", tokenizer)
    assert render("How many?", tokenizer) == "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n"


def test_prompts_and_arguments_reach_the_chat_template(tokenizer):
    task = TaskData(examples("How many?"), [], 9, 9, system="Be brief.", answer_format="Use #### x.")
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = THINKING
    assert shown(tokenizer, task) == "<system>Be brief.<user>How many?\n\nUse #### x.<assistant>"
    assert shown(tokenizer, task, enable_thinking=False).endswith("<assistant><think></think>")
    with pytest.raises(UsageError, match=r"does not read 'enable_thought'; correct chat.template_arguments"):
        shown(tokenizer, task, enable_thought=False)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('System role not supported') }}", r"cannot be used \(TemplateError: System role"),
        ("{% for m in messages %}{{ m['content'] }}", "cannot be used .*'endfor'"),
        ("{{ messages[0]['no'].such }}", "cannot be used"),
        ("{% for m in messages if m['role'] == 'user' %}{{ m['content'] }}{% endfor %}", "leaves the system message out"),
    ],
)
def test_a_template_that_fails_or_drops_the_system_message_is_one_line(tokenizer, template, message):
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = template
    with pytest.raises(UsageError, match=f"chat.template {message}") as caught:
        shown(tokenizer, TaskData(examples("How many?"), [], 9, 9, system="Be brief."))
    assert "\n" not in str(caught.value)


def test_data_shorter_than_the_run_is_reshuffled_and_repeated():
    pairs = [(e.question, e) for e in examples(*"abcdef")]
    stream = itertools.chain.from_iterable(batch["question"].tolist() for batch in batches(pairs, 4, seed=0))
    passes = [list(itertools.islice(stream, 6)) for _ in range(4)]
    assert all(sorted(one) == list("abcdef") for one in passes)
    assert len({tuple(one) for one in passes}) > 1


def test_the_order_depends_on_the_seed_alone():
    pairs = [(e.question, e) for e in examples(*"abcdef")]
    first, again, other = (
        [batch["question"].tolist() for batch in itertools.islice(batches(pairs, 4, seed=seed), 5)] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_batch_keeps_question_answer_and_reference_together():
    pairs = [(f"prompt {e.question}", e) for e in examples(*"abcd")]
    batch = next(batches(pairs, 4, seed=0))
    for prompt, question, answer, reference, example in zip(
        *(batch[c] for c in ("prompts", "question", "answer", "reference", "example")), strict=True
    ):
        assert example == Example(question, answer, reference)
        assert prompt == f"prompt {question}"
        assert reference == f"#### {answer}"
        assert "abcd"[int(answer)] == question


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def named(**fields):
    return lambda folder: edit(folder / "tokenizer_config.json", lambda content: content.update(fields))


def added(token, special=True, **fields):
    """A token behind the last row, and the tokenizer's fields that name it."""
    row = {"id": 1024, "content": token, "special": special}
    row |= dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)

    def change(folder):
        edit(folder / "tokenizer.json", lambda content: content["added_tokens"].append(row))
        named(**fields)(folder)

    return change


def ends_with(ids):
    return lambda folder: edit(folder / "generation_config.json", lambda content: content.update(eos_token_id=ids))


SOME_JINJA = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            added("[PAD]", pad_token="[PAD]"),
            r"tokenizer_config.json: pad_token '\[PAD\]' is token 1024, but the embedding has 1024 rows",
        ),
        (named(pad_token="[NEW]"), r"tokenizer_config.json: pad_token '\[NEW\]' is token 1024"),
        (added("</s>", eos_token="</s>"), "tokenizer_config.json: eos_token '</s>' is token 1024"),
        (added("<s>", bos_token="<s>"), "tokenizer_config.json: bos_token '<s>' is token 1024"),
        (added("<think>", chat_template=SOME_JINJA + "<think>"), "tokenizer.json: added_tokens '<think>' is token 1024"),
        (added("<tool>"), "tokenizer.json: added_tokens '<tool>' is token 1024"),  # a question may spell it
        (added("apple", special=False), "tokenizer.json: added_tokens 'apple' is token 1024"),
        (
            lambda f: edit(f / "tokenizer.json", lambda content: content["model"]["vocab"].update(apples=1024)),
            "tokenizer.json: model.vocab 'apples' is token 1024",
        ),
        (ends_with([2, 1024]), "generation_config.json: eos_token_id 1024 is no token of the embedding's 1024 rows"),
        (ends_with("2"), "generation_config.json: eos_token_id '2' is no token"),
    ],
)
def test_a_token_without_a_row_in_the_embedding_is_refused(toy_folder, change, message):
    change(toy_folder)
    with pytest.raises(UsageError, match=message) as error:
        load_policy(toy_folder, make_mesh())
    assert "\n" not in str(error.value)


def test_the_place_of_an_image_is_no_token_of_a_text_model(toy_folder):
    """Gemma 3's text models have it behind the last row: a question that spells it is read as any other text."""
    added("<image_soft_token>", image_token="<image_soft_token>", pad_token=None)(toy_folder)
    policy = load_policy(toy_folder, make_mesh())
    ids = prompt_ids(render("What is <image_soft_token>?", policy.tokenizer), policy.tokenizer)
    assert max(ids) < 1024
    assert "What is <image_soft_token>?" in policy.tokenizer.decode(ids)
    assert policy.tokenizer.pad_token_id < 3


def test_fewer_tokens_than_rows_are_fine(make_folder):
    assert max(load_policy(make_folder(vocab_size=1100), make_mesh()).tokenizer.get_vocab().values()) == 1023


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{{ raise_exception('a system message is needed') }}",
            r"cannot be used \(TemplateError: a system message is needed\)",
        ),
        ("{% for m in messages %}{{ m['content'] }", r"cannot be used \(TemplateSyntaxError"),
        ("{{ messages[0]['content'] + tools.first.name }}", r"cannot be used \(UndefinedError"),
        ("{{ messages[0]['content'] + 1 }}", r"cannot be used \(TypeError"),
        ("{{ messages[7].content.text }}", r"cannot be used \(UndefinedError"),
        ([{"name": "tool_use", "template": SOME_JINJA}], r"cannot be used \(ValueError: .*no default"),
        ("{% if false %}{{ messages }}{% endif %}", "writes '' for the question"),
        ("\n", r"writes '.*' for the question"),
        ("Say something.", "writes 'Say something.' for the question"),
    ],
)
def test_a_chat_template_that_does_not_work_is_one_line(toy_folder, template, message):
    named(chat_template=template)(toy_folder)
    with pytest.raises(UsageError, match=f"tokenizer_config.json: chat_template {message}") as error:
        load_policy(toy_folder, make_mesh())
    assert "\n" not in str(error.value)


def test_a_chat_template_in_a_file_of_its_own_is_named(toy_folder):
    (toy_folder / "chat_template.jinja").write_text("{% for")
    with pytest.raises(UsageError, match=r"chat_template.jinja: chat_template cannot be used \(TemplateSyntaxError"):
        load_policy(toy_folder, make_mesh())
