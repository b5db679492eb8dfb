"""One spelling for what TeX, Unicode and a keyboard write in different ways."""

import re
import unicodedata

# Raised and lowered digits, letters, signs and brackets, by what Unicode says that they are.
_SMALL = [chr(c) for c in (0xB2, 0xB3, 0xB9, *range(0x1D2C, 0x1D6B), *range(0x1D9B, 0x1DC0), *range(0x2070, 0x209D))]
_SUPERSCRIPTS, _SUBSCRIPTS = (
    {ord(s): unicodedata.normalize("NFKC", s) for s in _SMALL if unicodedata.decomposition(s).startswith(form)}
    for form in ("<super>", "<sub>")
)
_SIGNS = {
    "−": "-", "‐": "-", "‑": "-", "﹣": "-", "×": "*", "⋅": "*", "·": "*", "∙": "*", "÷": "/", "⁄": "/", "∕": "/",
    "π": r"\pi ", "∞": r"\infty ", "√": r"\sqrt ", "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ",
    "±": r"\pm ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "≈": r"\approx ", "θ": r"\theta ",
    "α": r"\alpha ", "β": r"\beta ", "φ": r"\phi ", "λ": r"\lambda ", "º": "°", "℃": "°C", "℉": "°F", "’": "'", "…": r"\ldots ",
    "≡": r"\equiv ", "∠": r"\angle ", "△": r"\triangle ", "⊥": r"\perp ", "∥": r"\parallel ", "⟨": r"\langle ",
    "⟩": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "∛": r"\sqrt[3] ",
    "∜": r"\sqrt[4] ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}",
    "γ": r"\gamma ", "δ": r"\delta ", "ρ": r"\rho ", "σ": r"\sigma ", "τ": r"\tau ", "ω": r"\omega ", "Δ": r"\Delta ",
    "′": "'", "″": "''", "“": '"', "”": '"', "＄": "$",
}  # fmt: skip
_OTHER_SPACE = re.compile(r"[^\S ]")
_SUPERSCRIPT, _SUBSCRIPT = (re.compile(f"[{''.join(map(chr, signs))}]+") for signs in (_SUPERSCRIPTS, _SUBSCRIPTS))
_SMALL_FRACTION = re.compile("([⁰¹²³⁴⁵⁶⁷⁸⁹]+)[⁄/∕]([₀₁₂₃₄₅₆₇₈₉]+)")
_DASH_SIGN = re.compile(r"(^|[\s(\[{,=*/^+$])[–—‒―](?=\s?[\d.\\$(A-Za-z])")  # a sign, rather than "5–7"

_DELIMITERS = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<!\\)\$(?!\s)([^$\n]+?)(?<![\s\\])\$(?!\d)", re.DOTALL)
_HELD = r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"
_WRAPPING = re.compile(
    rf"\\(?:text|mbox|hbox|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mathsf|boldsymbol|boxed)\s*{_HELD}"
)
_SIZES = re.compile(r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits)(?![A-Za-z])\s*")
_NARROW = re.compile(r"(?<!\\)\\!\s*|(?<!\\)\\(?:,|:|;| |quad|qquad)(?![A-Za-z])\s*|~")
_COMMANDS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "cdot": "*", "times": "*", "ast": "*", "div": "/", "leq": "le",
    "leqslant": "le", "geq": "ge", "geqslant": "ge", "neq": "ne", "lt": "<", "gt": ">", "degree": "°", "dots": "ldots",
    "cdots": "ldots", "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]", "lvert": "|", "rvert": "|", "vert": "|",
    "mid": "|", "lor": "or", "varnothing": "emptyset", "euro": "€", "pounds": "£", "cents": "¢",
    "textdollar": "$", "infin": "infty",
}  # fmt: skip
_COMMAND = re.compile(r"\\([A-Za-z]+)(?![A-Za-z])")
_ESCAPED = re.compile(r"\\([%$#&])")
_DEGREES = re.compile(r"\^\s*\{?\s*(?:\\circ|°)\s*\}?|°")
_PART = r"(?:\{([^{}]*)\}|(\w|\\[A-Za-z]+))"
_BARE_FRACTION = re.compile(rf"\\frac\s*{_PART}\s*{_PART}")
_BARE_ROOT = re.compile(r"\\sqrt(\[\d\])?\s*(?:(\d+|[A-Za-z])(?![\d{])|\((\w+)\))")
_ONE_SIGN = re.compile(r"([\^_])\s*\{\s*(\w)\s*\}")
_MODULUS = re.compile(r"\\pmod\s*\{?\s*(\w+)\s*\}?|\(\s*(?:\\[bp]?mod|mod)\s*(\w+)\s*\)")
_STACKED = re.compile(r"\{([^{}]*)\\(over|choose)(?![A-Za-z])([^{}]*)\}")  # TeX's own, {1\\over2}
_COLOUR = re.compile(rf"\\color\s*(?:\[\w+\])?\{{[^{{}}]*\}}|\\textcolor\s*(?:\[\w+\])?\{{[^{{}}]*\}}\s*{_HELD}")
_NO_ITEMS = re.compile(r"\\?\{\s*\\?\}")
_MINUS = re.compile(r"(?:negative|minus)\s+(?=[\d.$\\])", re.IGNORECASE)
_ORDINAL = re.compile(r"(?<=\d)\s*\^\s*\{?\s*(st|nd|rd|th)(?![A-Za-z])\s*\}?")
_GROUPED = re.compile(r"(?<![\w.'])\d{1,3}(?:(?:'\d{3})+|(?:_\d{3})+)(?![\w'])")  # 1'000'000, 1_000_000
_TIMES_TEN = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))")
_UNION = re.compile(r"(?<=[)\]}])\s*U\s*(?=[(\[{\\])")
_PYTHON_POWER = re.compile(r"(?<=[\w)\]}])\s?\*\*\s?(?=[\w({\-])")
_EMPHASIS = re.compile(r"(?<![\w)])\*\*(?=\S)([^*\n]+?)\*\*|__(?=\S)([^_\n]+?)__|`([^`\n]+)`")
_WORDS = re.compile(r"(?<![A-Za-z\\])(?:(?P<pi>pi)|(?P<sqrt>sqrt)(?=\s*[({\d])|(?P<infty>infinity))(?![A-Za-z])")
_PAIR = re.compile(r"(?<=\d),\s+(?=\d{3}(?!\d))")  # "12, 345" is not 12,345
_AFTER_COMMAND = re.compile(r"(\\[A-Za-z]+)\s+(?![A-Za-z])")
_SPACED = re.compile(r"\s*([^\w\s%°$'.])\s*")


def plain(text: str) -> str:
    """The text with TeX's and Unicode's spellings of one sign made one; what stands there stays."""
    text = text.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return text
    if not text.isascii():
        text = _from_unicode(text)
    text = _PYTHON_POWER.sub("^", _TIMES_TEN.sub("*", _EMPHASIS.sub(_inside, text)))
    if "$" in text or "\\" in text:
        text = _from_tex(text)
    text = _GROUPED.sub(lambda m: re.sub("['_]", "", m[0]), text.replace("{,}", ","))
    text = _ORDINAL.sub(r"\1", _MINUS.sub("-", text, count=1) if _MINUS.match(text) else text)
    text = _UNION.sub(r" \\cup ", text)
    if _NO_ITEMS.fullmatch(text):
        return "\\emptyset"
    text = _WORDS.sub(lambda m: f"\\{m.lastgroup} ", text)
    if "\\sqrt" in text:
        text = _BARE_ROOT.sub(lambda m: f"\\sqrt{m[1] or ''}{{{m[2] or m[3]}}}", text)
    return " ".join(text.split()).removesuffix(".").strip()


def squeezed(text: str) -> str:
    """A plain text without the spaces and braces that change nothing, for comparing."""
    text = _MODULUS.sub(lambda m: f"(mod {m[1] or m[2]})", _ONE_SIGN.sub(r"\1\2", text)).replace('"', "")
    text = _PAIR.sub(";", text)
    text = _AFTER_COMMAND.sub(r"\1", text)
    return _SPACED.sub(r"\1", text.strip("'") if text.startswith("'") else text)


def _from_unicode(text: str) -> str:
    for sign in set(text):
        if "⁄" in (fraction := unicodedata.normalize("NFKC", sign)) and sign != "⁄":
            text = re.sub(rf"(?<=\d)\s*{sign}", f" {fraction}", text).replace(sign, fraction)  # 1½ is 1 1/2
    text = _SMALL_FRACTION.sub(lambda m: f" {m[1].translate(_SUPERSCRIPTS)}/{m[2].translate(_SUBSCRIPTS)}", text)
    text = _SUPERSCRIPT.sub(lambda m: f"^{{{m[0].translate(_SUPERSCRIPTS)}}}", text)
    text = _SUBSCRIPT.sub(lambda m: f"_{{{m[0].translate(_SUBSCRIPTS)}}}", text)
    text = "".join(map(_keyboard, text))
    return _OTHER_SPACE.sub(lambda m: "\n" if m[0] == "\n" else " ", _DASH_SIGN.sub(r"\1-", text))


def _keyboard(sign: str) -> str:
    if sign in _SIGNS:
        return _SIGNS[sign]
    if "！" <= sign <= "～":  # the full-width forms of ASCII
        return chr(ord(sign) - 0xFEE0)
    return str(unicodedata.decimal(sign)) if sign.isdecimal() else sign


def _from_tex(text: str) -> str:
    text = _COLOUR.sub(_inside, _DELIMITERS.sub(_inside, text))
    for _ in range(3):  # they nest: \textbf{\text{(C)}}
        text = _WRAPPING.sub(_unwrapped, text)
    text = _NARROW.sub(lambda m: "" if m[0].startswith("\\!") else " ", _SIZES.sub("", text))
    text = _ESCAPED.sub(r"\1", _DEGREES.sub("°", text))
    text = _COMMAND.sub(_renamed, text)
    text = _STACKED.sub(lambda m: f"\\{'frac' if m[2] == 'over' else 'binom'}{{{m[1].strip()}}}{{{m[3].strip()}}}", text)
    return _BARE_FRACTION.sub(lambda m: f"\\frac{{{(m[1] or m[2] or '').strip()}}}{{{(m[3] or m[4] or '').strip()}}}", text)


def _unwrapped(match: re.Match[str]) -> str:
    """Words get spaces around them, so as not to become letters of a formula; one letter, as in \\mathrm{e}, is a sign."""
    inside = match[1]
    return f" {inside}" if len(inside) == 1 else f" {inside.strip(' ')} " if inside.strip() else " "


def _renamed(match: re.Match[str]) -> str:
    name = _COMMANDS.get(match[1])
    if name is None:
        return match[0]
    if name in ("and", "or"):
        return f" {name} "
    return f"\\{name}" if name.isalpha() or name in "{}" else name


def _inside(match: re.Match[str]) -> str:
    return next((group for group in match.groups() if group is not None), "")
