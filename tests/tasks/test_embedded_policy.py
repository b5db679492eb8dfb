"""The policy in the package: its form, and where it starts."""

import json

from transformers import AutoTokenizer

from cal_grpo.policies import EMBEDDED, resolve_model


def test_it_is_a_small_qwen2_checkpoint_folder_with_single_digits():
    config = json.loads((EMBEDDED / "config.json").read_text())
    assert config["model_type"] == "qwen2"
    assert sum(file.stat().st_size for file in EMBEDDED.iterdir()) < 10_000_000
    tokenizer = AutoTokenizer.from_pretrained(resolve_model("embedded"))
    assert [tokenizer.decode([i]) for i in tokenizer.encode("1234+567=1801")] == list("1234+567=1801")
    digits = [token for token in tokenizer.get_vocab() if any(c.isdigit() for c in token)]
    assert all(len(token.strip("ĠĊ")) == 1 for token in digits)
    text = "Ada has 21 coins — “naïve” ½ 😀"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_its_chat_template_ends_where_the_answer_begins():
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    messages = [{"role": "user", "content": "How many?"}]
    shown = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert shown == "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token != tokenizer.eos_token
