import pytest

from cal_grpo.errors import UsageError
from cal_grpo.tasks.hub import read_hub


def test_a_hub_that_cannot_be_reached_names_the_way_out(monkeypatch, tmp_path):
    import datasets
    import huggingface_hub.constants

    # nothing listens on port 9 of this machine, and the cache is empty
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(UsageError, match="--data") as caught:
        read_hub("gsm8k")
    assert "\n" not in str(caught.value)
