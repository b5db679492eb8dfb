"""The report: what is in the page, and what a browser makes of it, hostile text included."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from _browser import MISSING, find_browser, open_browser

HOSTILE = [
    "</script><script>document.title='run'</script>",
    "<img src=x onerror=\"document.title='run'\">",
    "<svg onload=\"document.title='run'\">",
    "<!--<script>",
    "]]>",
    "$data $script ${document.title='run'}",
    "&lt;b&gt; &amp;",
    "\u202eexe.txt\u202c \u2066x\u2069",
    "\x00\x1b[2J\x7f",
    "\u2028\u2029",
]


class Elements(HTMLParser):
    """``found``: each element with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def report(cal_grpo, tmp_path):
    """``report(run, ...) -> the page's text``; the page lies in ``report.path``."""

    def write(*arguments):
        status, _, err = cal_grpo("report", *arguments)
        assert status == 0, err
        return write.path.read_text(encoding="utf-8")

    write.path = tmp_path / "here" / "report.html"
    return write


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_page_needs_nothing_else_and_lets_nothing_else_run(report, make_run):
    page = report(make_run())
    elements = Elements(page).found
    assert not [attrs for _, attrs in elements for name in ("src", "srcset", "data", "action", "style") if name in attrs]
    assert all(attrs["href"].startswith("#") for _, attrs in elements if "href" in attrs)
    assert "@import" not in page
    assert "url(" not in page
    (policy,) = [a["content"] for _, a in elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)[1]
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    for kind, content in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_figures_curves_and_misses_stand_in_the_page_without_a_script(report, make_run):
    page = report(make_run("cal"), make_run("grpo", use_cal=False, seed=4))
    for expected in (
        "held-out after, %", "75.0 [30.1, 95.4] of 4", "quote_not_found", "2 (25.0%)", "of these, tried again", "$0.0100",
    ):  # fmt: skip
        assert expected in page
    assert re.findall(r'role="img" aria-label="(.*?)"', page) == [
        "Training accuracy", "KL", "Entropy", "Variance of the advantages", "Length", "Oracle, cost", "Oracle, latency",
    ]  # fmt: skip


def test_several_runs_have_their_colours_said_above_the_curves(report, make_run):
    curves = re.compile(r'<section id="curves".*?</section>', re.DOTALL)
    both = curves.search(report(make_run("cal"), make_run("grpo", use_cal=False)))[0].partition('<div class="charts">')[0]
    assert re.findall(r'class="swatch (s\d)"></span>(\w+)<', both) == [("s0", "cal"), ("s1", "grpo")]
    assert "swatch" not in curves.search(report(make_run("alone")))[0]


def test_curves_are_the_metrics_beside_what_they_are_compared_with(report, make_run):
    charts = data_of(report(make_run()))["charts"]
    series = [{line["name"]: line["points"] for line in chart["series"]} for chart in charts]
    assert series[0] == {"run": [[1, 0.25], [2, 0.5]]}
    assert series[3] == {"run": [[1, 0.2], [2, 0.2]], "run GRPO's": [[1, 0.9], [2, 0.9]]}
    assert series[5] == {"run": [[1, 0.005], [2, 0.01]]}  # dollars so far
    assert series[6] == {"run": [[1, 0.2], [2, 0.2]], "run 95th percentile": [[1, 0.9], [2, 0.9]]}


def test_held_out_answers_between_updates_are_a_curve_and_the_best_is_named(report, make_run):
    answers = [
        ("before", None, 0),
        ("before", None, 0),
        ("between", 1, 1),
        ("between", 1, 1),
        ("after", None, 1),
        ("after", None, 0),
    ]
    rows = [
        {"when": when, "question": f"q{i % 2}", "correct": bool(right)} | ({"update": update} if update else {})
        for i, (when, update, right) in enumerate(answers)
    ]
    summary = {"stopped": None, "wall_s": 1.0, "oracle": {}, "eval": {"best": {"update": 1, "accuracy": 1.0}}}
    files = {"eval.jsonl": "".join(json.dumps(row) + "\n" for row in rows), "summary.json": json.dumps(summary)}
    page = report(make_run("asked", files=files), make_run("plain"))
    assert "100.0% after update 1" in page
    (curve,) = [chart for chart in data_of(page)["charts"] if chart["series"][0]["points"][0] == [0.0, 0.0]]
    assert curve["series"] == [{"name": "asked", "points": [[0.0, 0.0], [1.0, 1.0], [2.0, 0.5]]}]
    assert "best kept" not in report(make_run("other"))


def test_references_are_in_the_page_once_each_and_those_of_older_runs_are_not(report, make_run, records):
    samples = [records.rollout(), records.right(), records.rollout(2, reference="x"), records.rollout(3, reference=...)]
    data = data_of(report(make_run(samples=samples)))
    assert data["references"] == ["1+1=2\n#### 2", "x", ""]
    assert [rollout["reference"] for rollout in data["rollouts"]] == [0, 0, 1, 2]


def test_a_reward_of_ones_own_is_named_and_drawn_and_the_accuracy_is_not_drawn_twice(report, make_run):
    rows = [{"step": step, "accuracy": 0.25, "reward": reward} for step, reward in ((1, 0.25), (2, 0.75))]
    own, same = ("".join(json.dumps(row) + "\n" for row in kept) for kept in (rows, [{**rows[0], "step": s} for s in (1, 2)]))
    asked = own.replace('"accuracy"', '"cal/asked": 1.0, "accuracy"')
    page = report(make_run("own", files={"metrics.jsonl": asked}, reward=["mine:reward"], cal_provider="mine:Judge"))
    assert "<b>reward</b> mine:reward" in page
    assert "<b>judge</b> mine:Judge" in page
    assert "judge&#39;s style" not in page
    assert "judge's style" not in page
    assert [[1.0, 0.25], [2.0, 0.75]] in [chart["series"][0]["points"] for chart in data_of(page)["charts"]]
    assert len(data_of(report(make_run("same", files={"metrics.jsonl": same})))["charts"]) == 1


def test_a_free_oracle_has_no_cost_and_a_run_without_updates_no_curve(report, make_run):
    free = json.dumps({"step": 1, "accuracy": 0.5, "cal/usd": 0.0, "cal/latency_p50_s": 0.0}) + "\n"
    assert report(make_run("free", files={"metrics.jsonl": free})).count("<figure>") == 1
    assert "No update has been made yet." in report(make_run("new", files={"metrics.jsonl": ""}))


def test_rollouts_are_drawn_evenly_when_there_are_too_many(report, make_run, records):
    runs = [make_run(name, samples=[records.rollout(i) for i in range(300)]) for name in ("a", "b")]
    page = report(*runs, "--rollouts", 100)
    kept = data_of(page)["rollouts"]
    assert len(kept) == 100
    assert 30 < sum(r["run"] == 0 for r in kept) < 70
    assert [r["step"] for r in kept if r["run"] == 0] == sorted(r["step"] for r in kept if r["run"] == 0)
    assert "100 of the 600 that were written are here" in page
    assert data_of(report(*runs, "--rollouts", 100)) == data_of(page)


def test_numbers_that_json_lacks_and_huge_text_do_not_reach_the_page(report, make_run, records):
    strange = records.rollout(
        reward=float("nan"), response="x" * 100_000, tokens=3, span=..., question="q" * 9000,
        advantages=[[float("inf"), 1], [float("nan"), 1], [-0.5, 1]], advantage_characters=[1, 1, 99_998],
    )  # fmt: skip
    page = report(make_run(samples=[strange]))
    data = data_of(page)
    (only,) = data["rollouts"]
    assert only["reward"] is None
    assert [piece[1] for piece in only["pieces"]] == [None, None, -0.5]
    assert (only["mean"], only["cut"], data["scale"]) == (-0.5, 80_000, 0.5)
    assert data["questions"][0].endswith("… 4,000 more characters")
    assert len(page) < 100_000


def test_one_huge_advantage_does_not_pale_all_others(report, make_run, records):
    many = [records.rollout() for _ in range(200)] + [records.rollout(advantages=[[0.3, 3], [-900.0, 2], [0.0, 7]])]
    assert data_of(report(make_run(samples=many)))["scale"] == 1.0


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ({"metrics.jsonl": "", "samples.jsonl": "", "eval.jsonl": ""}, (), "has nothing to show yet"),
        ({}, ("--output", "no/such/page.html"), "cannot be written"),
        ({}, ("/nowhere",), "no such folder"),
    ],
)
def test_what_is_missing_is_one_line_and_status_2(cal_grpo, make_run, files, arguments, message):
    status, out, err = cal_grpo("report", make_run(files=files), *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_killed_run_has_a_report_that_says_so(cal_grpo, make_run, records, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cut = json.dumps(records.rollout()) + '\n{"step": 2, "que'
    run = make_run(files={"summary.json": None, "eval.jsonl": None, "samples.jsonl": cut, "config.yaml": "a: [b"})
    status, out, _ = cal_grpo("report", run, "--json")
    record = json.loads(out)
    assert (status, record["rollouts"], record["output"]) == (0, 1, "report.html")
    assert [note.partition(": ")[2][:25] for note in record["notes"]] == [
        "samples.jsonl: the last l", "config.yaml: missing or n", "unfinished after 2 update",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    if find_browser() is None:
        pytest.skip(MISSING)
    with open_browser() as browser:
        yield browser


def test_a_browser_shows_the_chosen_rollout_with_its_advantages(browser, report, make_run):
    report(make_run())
    page = browser.open(report.path)
    assert page.text("#count") == "4 of 4 rollouts"
    assert page.evaluate("document.querySelector('#detail').hidden")
    page.point("#table tbody tr", click=True)
    assert page.text(".response") == "1+1=3\n#### 3"
    heat = (
        "[...document.querySelectorAll('.up, .down')].filter((n) => n.title).map((n) => [n.textContent, n.className, n.title])"
    )
    assert page.evaluate(heat) == [
        ["1+1", "up", "tokens 0 to 2, advantage +0.3"], ["=3", "down", "tokens 3 to 4, advantage -1"],
    ]  # fmt: skip
    colours = "[...document.querySelectorAll('.response span')].map((n) => getComputedStyle(n).backgroundColor)"
    up, down, none = page.evaluate(colours)[:3]
    assert len({up, down, none}) == 3
    assert page.text("#detail").startswith("step 1, row 1")
    assert "found, confidence 0.9; tokens 3 to 4 of 12, found by exact match" in page.text("#detail")
    assert "Other answers to this question" in page.text("#detail")
    page.press("ArrowRight")
    assert page.text("#detail").startswith("step 1, row 2")
    page.press("Escape")
    assert page.evaluate("document.querySelector('#detail').hidden")


def test_the_reference_solution_stands_beside_the_response_where_there_is_room(browser, report, make_run, records):
    report(make_run(samples=[records.rollout(), records.rollout(2, reference=...)]))
    tops = "[...document.querySelectorAll('.beside > div')].map((n) => Math.round(n.getBoundingClientRect().top))"
    wide = browser.open(report.path, "open=0", 1400, 900)
    assert "Reference solution\n1+1=2\n#### 2" in wide.text("#detail")
    assert len(set(wide.evaluate(tops))) == 1
    narrow = browser.open(report.path, "open=0", 390, 844)
    assert len(set(narrow.evaluate(tops))) == 2
    assert "Reference" not in browser.open(report.path, "open=1").text("#detail")


def test_a_browser_shows_what_should_have_stood_there(browser, report, make_run, records):
    verdict = {"tag": "found", "critique": "1+1 is 2", "segment": "=3", "correction": "1+1=2\n#### 2"}
    report(make_run(samples=[records.rollout(verdict=verdict | {"copies_reference": True}), records.rollout(2)]))
    text = "document.querySelector('main').innerText"
    shown = browser.open(report.path, "open=0").evaluate(text)
    assert "Correction, from the step of the quote on\n" in shown
    assert "1+1=2\n#### 2" in shown
    assert "These are the reference's own words." in shown
    assert "Correction" not in browser.open(report.path, "open=1").evaluate(text)


def test_the_critique_shows_when_the_pointer_is_on_the_quote(browser, report, make_run):
    report(make_run())
    page = browser.open(report.path, "open=0")
    shown = "getComputedStyle(document.querySelector('.tip')).display"
    assert page.evaluate(shown) == "none"
    page.point(".quote")
    assert page.evaluate(shown) == "block"
    assert page.text(".tip") == "1+1 is 2"
    page.point("h1")
    assert page.evaluate(shown) == "none"


def test_a_curve_gives_its_numbers_under_the_pointer(browser, report, make_run):
    report(make_run())
    page = browser.open(report.path)
    page.point("figure svg")
    assert page.text("figcaption") in ("update 1: run 25 %", "update 2: run 50 %")
    page.point("h1")
    assert page.text("figcaption") == ""


def test_filters_are_typed_kept_in_the_address_and_taken_back(browser, report, make_run):
    report(make_run())
    page = browser.open(report.path)
    page.point("input[name=find]", click=True)
    page.type("1+1 IS")
    assert page.text("#count") == "2 of 4 rollouts"
    assert page.evaluate("location.hash") == "#find=1%2B1+IS"
    page.point("button[type=reset]", click=True)
    assert page.text("#count") == "4 of 4 rollouts"


@pytest.mark.parametrize(
    ("fragment", "count"),
    [
        ("outcome=right", "1 of 4 rollouts"), ("outcome=any+wrong&step=2-9", "2 of 4 rollouts"),
        ("find=%23%23%23%23+2", "1 of 4 rollouts"), ("step=7", "None of 4 rollouts fits."),
        ("open=99999&page=77&run=x&step=%00", "None of 4 rollouts fits."),
    ],
)  # fmt: skip
def test_filters_in_the_address_are_the_table_s(browser, report, make_run, fragment, count):
    report(make_run())
    assert browser.open(report.path, fragment).text("#count") == count


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (320, 568)])
def test_nothing_is_cut_off_at_any_width(browser, report, make_run, records, width, height):
    long = "a-long-name-without-a-space-" * 6
    sample = records.rollout(question=long, response=long, advantage_characters=[3, 2, 100], extracted=long)
    report(make_run("cal", samples=[sample]), make_run("grpo", use_cal=False))
    for fragment in ("", "open=0"):
        page = browser.open(report.path, fragment, width, height)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_text_is_shown_and_never_run(browser, report, make_run, records):
    samples = []
    for text in [*HOSTILE, " ".join(HOSTILE)]:
        verdict = {"tag": text, "critique": text, "segment": text, "confidence": 0.5, "missed": None}
        verdict |= {"correction": text, "copies_reference": True}
        spoken = {
            "question": text,
            "reference": text,
            "response": f"a{text}b",
            "extracted": text,
            "expected": text,
            "verdict": verdict,
        }
        span = {"tokens": [1, 2], "characters": [1, 1 + len(text)], "method": text, "score": 0.5}
        advantages = {"advantages": [[0.3, 1], [-1.0, 1], [0.0, 1]], "advantage_characters": [1, len(text), 1]}
        samples.append(records.rollout(**spoken, span=span, tokens=3, **advantages))
    metrics = json.dumps({"step": 1, "cal/asked": 5, f"cal/missed/{HOSTILE[0]}": 3}) + "\n"
    config = f"model_id: {json.dumps(HOSTILE[1])}\ntask: {json.dumps(HOSTILE[5])}\n"
    hostile = make_run("named-by-me", samples=samples, files={"metrics.jsonl": metrics, "config.yaml": config})
    tags = "[...new Set([...document.querySelectorAll('*')].map((node) => node.tagName))]"
    report(make_run("kind", samples=[records.rollout() for _ in samples]))
    harmless = set(browser.open(report.path, "open=0").evaluate(tags))
    report.path.unlink()
    page = report(hostile)
    assert page.count("<script") == 2  # data and script, as in every report
    for number, sample in enumerate(samples):
        shown = browser.open(report.path, f"open={number}")
        assert shown.evaluate("document.title") == "named-by-me"
        assert shown.evaluate("document.scripts.length") == 2
        assert set(shown.evaluate(tags)) <= harmless
        handlers = "[...document.querySelectorAll('*')].flatMap((n) => n.getAttributeNames()).filter((n) => n.startsWith('on'))"
        assert shown.evaluate(handlers) == []
        # Every character is there; those that would not be seen, or would reorder others, are spelled out.
        spelled = "".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in sample["response"])
        whole = shown.evaluate("document.body.textContent.replace(document.querySelector('#data').textContent, '')")
        assert spelled[:-1] in shown.evaluate("document.querySelector('.response').textContent")
        assert not set("\u202e\u2066\x1b\x00\x7f\u2028") & set(whole)


def test_nothing_is_asked_of_the_network_or_the_disk(browser, report, make_run):
    report(make_run())
    page = browser.open(report.path, "open=0")
    page.point(".quote")
    assert page.requests() == [report.path.as_uri()]
