"""The Markdown pages lead somewhere, and name what there is."""

import itertools
import re
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt

from cal_grpo.config import known_keys
from cal_grpo.credit import FORMULAS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for folder in ("", "docs", "examples")
    for page in ROOT.joinpath(folder).glob("**/*.md" if folder else "*.md")
)  # fmt: skip
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


def tokens_of(text):
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def links_of(page):
    """Every link's and picture's target."""
    attributes = [token.attrs.get("href") or token.attrs.get("src") for token in tokens_of(page.read_text())]
    return [str(target) for target in attributes if target]


def anchors_of(page):
    """What GitHub calls the headings of a page."""
    seen, anchors = Counter(), set()
    tokens = list(tokens_of(page.read_text()))
    for opening, heading in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            text = "".join(child.content for child in heading.children)
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return anchors


def test_anchors_are_githubs(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# What `it` does, beyond 0.1.7\n\n```\n# no heading\n```\n\n## Use\n\n## Use\n")
    assert anchors_of(page) == {"what-it-does-beyond-017", "use", "use-1"}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page):
    for target in links_of(page):
        parts = urlsplit(target)
        if parts.scheme:
            assert parts.scheme == "https", target
            assert "." in parts.netloc, target
            continue
        found = (page.parent / parts.path).resolve() if parts.path else page
        assert found.exists(), target
        assert found.is_relative_to(ROOT), target
        if parts.fragment:
            assert parts.fragment in anchors_of(found), target


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_file_and_every_key_that_is_named_is_there(page):
    text = page.read_text()
    for name in re.findall(
        r"(?<![\w/])(?:benchmarks|scripts|tests|study|examples|src)/[\w/-]+\.(?:py|sh|md|ya?ml|csv|json)\b", text
    ):
        assert (ROOT / name).exists(), name
    for key in re.findall(r"--set (?!key=)([\w.]+)=", text):
        assert key in known_keys() or key.startswith("trl."), key  # TRL's own; tests/engines/trl asks its dataclass


def test_every_page_stands_in_the_index():
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in links_of(index)}
    assert {page for page in PAGES if page != index} <= linked


def test_the_architecture_names_every_folder_and_module():
    text = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "src" / "cal_grpo"
    parts = [part for part in package.iterdir() if part.suffix == ".py" or (part / "__init__.py").exists()]
    for part in parts:
        if not part.name.startswith("__"):
            assert f"`{part.name}/`" in text or f"`{part.name}`" in text, part.name
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    for folder in ROOT.iterdir():
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in ignored:
            assert f"`{folder.name}/" in text, folder.name


@pytest.mark.parametrize("page", ["credit.md", "algorithm.md"])
def test_every_formula_is_described(page):
    text = (ROOT / "docs" / page).read_text()
    for name in FORMULAS:
        assert f"`{name}`" in text, name
