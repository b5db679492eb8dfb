"""Which files of a checkpoint folder go with the weights."""

from pathlib import Path

# What travels to an export: what loading has read and understood, wherever it lies,
_READ = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
# and what belongs to a tokenizer or a licence, unless it is a link that leads elsewhere.
_BESIDE = (
    "added_tokens.json", "special_tokens_map.json", "chat_template.json", "vocab.json", "merges.txt", "tokenizer.model",
    "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt",
)  # fmt: skip


def travelling(folder: Path) -> list[Path]:
    """The files that go with the weights into an export. Never any other: not ``.env``, not an optimizer's state."""
    beside = [folder / name for name in _BESIDE]
    return [folder / name for name in _READ if (folder / name).is_file()] + [
        file for file in beside if file.is_file() and not _leads_elsewhere(file)
    ]


def _leads_elsewhere(file: Path) -> bool:
    """Whether it is a link out of its folder; a snapshot of the hub's cache links to ``blobs``."""
    home = file.resolve().parent
    return file.is_symlink() and home != file.parent.resolve() and home.name != "blobs"
