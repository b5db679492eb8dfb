"""The documentation's site: the repository's Markdown pages as they are, and an API page from the docstrings.

The source folder is the repository's root, so that a relative link means on the site what it means in the repository, and
a broken one stops the build: ``make docs``.
"""

import re
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

project = "CAL-GRPO"
copyright = "the CAL-GRPO authors, Apache-2.0"
version = release = metadata.version("cal-grpo")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = ["docs/**.md", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/**/README.md"]
exclude_patterns = [".*", "site", "build", "runs", "evals", "src", "tests", "study"]
nitpicky = True
nitpick_ignore_regex = [("py:(class|obj)", ".*")]  # a type in a signature leads to its entry where there is one

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # GitHub's anchors
suppress_warnings = ["config.cache"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"  # a parameter a line, its meaning and shape below
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
autodoc_preserve_defaults = True
napoleon_custom_sections = [("Attributes", "params_style")]  # "start, end: ..." are two

html_theme = "furo"
html_title = "CAL-GRPO"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"  # drawn by the browser itself: the site loads nothing from elsewhere

_LINK = re.compile(r"^- \[([^]]*)\]\(([^)#]+)\.md\)", re.MULTILINE)


def toctrees(index: str) -> str:
    """The site's navigation: a hidden toctree for each section of the index page, of the pages that its list links to."""
    parts = []
    for section in index.split("\n## ")[1:]:
        caption, _, body = section.partition("\n")
        pages = "\n".join(f"{title} <{page}>" for title, page in _LINK.findall(body))
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```")
    return "\n\n".join(parts)


def config_table() -> str:
    """Every config key with its default and its meaning."""
    from cal_grpo.config import described_keys

    rows = ["| key | default | what it does |", "|---|---|---|"]
    rows += [f"| `{key}` | {default} | {text} |" for key, default, text in described_keys()]
    return re.sub(r"--\w+", r"`\g<0>`", "\n".join(rows))  # options, not dashes


def fill_in(app: Sphinx, page: str, source: list[str]) -> None:
    """What pages leave to the code: the navigation, and the table of config keys."""
    if page == root_doc:
        source[0] += "\n" + toctrees(source[0])
    source[0] = source[0].replace("<!-- every config key -->", config_table())


def write_front(app: Sphinx, error: Exception | None) -> None:
    """The folder's own page leads to the index."""
    if error is None:
        front = f'<!doctype html><meta http-equiv="refresh" content="0; url={root_doc}.html"><title>{project}</title>\n'
        (Path(app.outdir) / "index.html").write_text(front)


def draw_inline(writer: Any, node: nodes.math) -> None:
    """An inline formula as MathML."""
    writer.body.append(mathml(node))
    raise nodes.SkipNode


def draw_block(writer: Any, node: nodes.math_block) -> None:
    """A formula of its own as MathML."""
    writer.body.append(f'<div class="math">{mathml(node)}</div>\n')
    raise nodes.SkipNode


def mathml(node: nodes.math | nodes.math_block) -> str:
    """A formula for the browser; LaTeX that docutils does not know is a warning, which stops the build."""
    try:
        return tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block))
    except MathError as e:
        logging.getLogger(__name__).warning("formula cannot be drawn: %s", e, location=node)
        return ""


def setup(app: Sphinx) -> Mapping[str, Any]:
    app.connect("source-read", fill_in)
    app.connect("build-finished", write_front)
    app.add_html_math_renderer("mathml", inline_renderers=(draw_inline, None), block_renderers=(draw_block, None))
    return {"parallel_read_safe": True}
