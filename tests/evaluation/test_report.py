"""The report: what it says, that nothing a model wrote can act in it, and how a real browser lays it out."""

import html as html_text
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.image import imread as read_png
from tiny_students import PROBLEMS, answers, train_tokenizer

from hf_structdistill.errors import InputError
from hf_structdistill.evaluation import TokenExample, score_completions, token_example, write_report
from hf_structdistill.evaluation.charts import line_chart, ticks
from hf_structdistill.evaluation.highlight import code_html
from hf_structdistill.evaluation.marks import mark_pair
from hf_structdistill.evaluation.sample_files import read_samples
from hf_structdistill.problems.problem import AssertTests, Problem
from hf_structdistill.problems.prompting import student_prompt
from hf_structdistill.structure import StructureAnnotator, TokenBytes

HOSTILE = (
    "```python\ndef double(n):\n"
    "    return \"</pre></details><script>document.title='owned'</script><img src=x onerror=alert(1)>\"\n```\n"
)
LONG = "x" * 400
CURVES = {
    "plain": {"loss": [(i, 2 / (i + 1)) for i in range(50)]},
    "structured": {"loss": [(i, 1.8 / (i + 1)) for i in range(50)], "dataflow_pointer": [(i, 1.0) for i in range(50)]},
}


@pytest.fixture(scope="module")
def results():
    problems = [*PROBLEMS, Problem(f"tiny/{LONG}", f"Say {LONG}.", AssertTests((f"assert {LONG}() == 1",)), LONG)]
    plain = score_completions(problems, [HOSTILE, *answers(wrong=("total",))[1:], "no"], name="plain")
    wide = f"```python\ndef {LONG}():\n    return 2  # {LONG}\n```\n"
    structured = score_completions(problems, [*answers(), wide], name="structured")
    return problems, [plain, structured]


@pytest.fixture(scope="module")
def report(results, tmp_path_factory):
    problems, scored = results
    examples = [
        {
            "title": "<b>bold</b>",
            "tokens": ["def", " f", "</pre>", LONG],
            "weights": [1.0, 0.5, 0.0, None],
            "prompt": LONG,
        }
    ]
    return write_report(
        tmp_path_factory.mktemp("report"), scored, problems=problems, curves=CURVES, examples=examples,
        settings={"sampling": {"max_new_tokens": 96}},
    )  # fmt: skip


class Collector(HTMLParser):
    """Tags with their attributes, and whether every tag is closed in order."""

    VOID = {"meta", "input", "line", "polyline", "circle"}

    def __init__(self):
        super().__init__()
        self.tags, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


def test_html_is_self_contained_and_well_formed(report):
    page = Collector()
    page.feed(report["report.html"].read_text())
    assert page.open == []
    for tag, attributes in page.tags:
        assert tag not in ("link", "img", "iframe")
        assert not {"src", "srcset", "onerror", "onclick"} & set(attributes)
        assert attributes.get("href", "#").startswith("#")
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "http-equiv" in report["report.html"].read_text()


def test_the_code_shows_what_matches(results, tmp_path):
    problems, scored = results
    html = write_report(tmp_path, scored[:1], problems=problems[1:2])["report.html"].read_text()
    (reference, ours) = re.findall(r'<pre class="code">(.*?)</pre>', html, re.DOTALL)[:2]
    plain = [html_text.unescape(re.sub("<[^>]+>", "", code)) for code in (reference, ours)]
    assert plain == [PROBLEMS[1].reference, scored[0].records[1].code]  # marks change nothing of the text
    matched = [re.sub("<[^>]+>", "", part) for part in re.findall('<i class="h">(.*?)</i>', reference, re.DOTALL)]
    unmatched = [re.sub("<[^>]+>", "", part) for part in re.findall('<i class="x">(.*?)</i>', reference, re.DOTALL)]
    assert "return s" in " ".join(matched)
    assert "s += x" in unmatched
    record = scored[0].records[1]
    hits, total = map(int, re.search(r"syntax (\d+) of (\d+)", html).groups())
    assert hits / total == record.syntax
    hits, total = map(int, re.search(r"data flow (\d+) of (\d+)", html).groups())
    assert hits / total == record.dataflow
    assert 'title="value from line 2 or 4: matched"' in reference


def test_marks_keep_their_places_in_any_text():
    code = "def f(ä):\r\n\ts = '日本 <b>'  # 𝒳 & y\r\n\treturn s + ä\n"
    marks, _ = mark_pair(code, "def g(x):\n    return x\n")
    html = str(code_html(code, marks))
    assert html_text.unescape(re.sub("<[^>]+>", "", html)) == code
    assert re.search(r'<u data-at="\d+" class="f[hx]"[^>]*>ä</u>', html)
    assert "&lt;b&gt;" in html


def test_what_a_model_wrote_stays_text(report):
    text = report["report.html"].read_text()
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "<b>bold</b>" not in text


def test_the_report_says_what_was_measured(report, results):
    text = report["report.md"].read_text()
    assert "structured and plain cannot be told apart on pass@1" in text
    assert re.search(r"\| passed \| 2 \| 4 \|", text)
    assert "| tiny/total | failed | passed |" in text
    html = report["report.html"].read_text()
    for words in ("assert total([1, 2]) == 3", "dataflow_pointer", "Only structured passes", "Reference"):
        assert words in html
    summary = json.loads(report["results.json"].read_text())
    assert summary["models"][1]["pass@k"]["1"] == 0.8
    assert summary["sampling"] == {"max_new_tokens": 96}
    assert summary["versions"]["transformers"]
    assert summary["comparisons"][0]["metric"] == "pass@1"


def test_samples_can_be_scored_again(report, results):
    problems, scored = results
    plain, _ = read_samples(report["samples.jsonl"], problems)
    assert plain.name == "plain"
    again = score_completions(problems, plain.samples, name="plain")
    assert [r.verdict.status for r in again.records] == [r.verdict.status for r in scored[0].records]


def test_a_lone_surrogate_is_shown_as_its_escape(tmp_path):
    problem = Problem("tiny/one", "Say one.", AssertTests(("assert one() == 1",)), "one")
    raising = "```python\ndef one():\n    raise ValueError(chr(0xd800))\n```\n"
    scored = [score_completions([problem], [answer], name=str(n)) for n, answer in enumerate((raising, "cut \ud83d"))]
    for path in write_report(tmp_path, scored, problems=[problem]).values():
        if path.suffix in (".html", ".md"):
            path.read_text(encoding="utf-8")
    assert r"\ud800" in (tmp_path / "report.html").read_text()


def test_flat_curves_and_missing_parts(results, tmp_path):
    problems, scored = results
    paths = write_report(tmp_path, scored[:1], problems=problems, curves={"loss": [(1, 2.0), (2, float("nan"))]})
    html = paths["report.html"].read_text()
    assert "<figcaption>loss</figcaption>" in html
    assert "plain solves 2 of 5 problems" in html
    assert "Where the structure lies" not in html


def test_bad_input_is_named(results, tmp_path):
    problems, scored = results
    with pytest.raises(InputError, match="at least one result"):
        write_report(tmp_path, [], problems=problems)
    with pytest.raises(InputError, match="same name"):
        write_report(tmp_path, [scored[0], scored[0]], problems=problems)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tmp_path / "file" / "sub", scored, problems=problems)
    with pytest.raises(InputError, match="2 tokens but 1 weights"):
        TokenExample("t", ["a", "b"], [1.0])


def test_a_token_example_shows_what_the_loss_weighs():
    tokenizer = train_tokenizer()
    answer = answers()[1].replace("I write", "Ich schreibe 日本")  # characters that span several byte tokens
    prompt, target = (tokenizer(text)["input_ids"] for text in (student_prompt(PROBLEMS[1]), answer))
    annotator = StructureAnnotator(TokenBytes.from_tokenizer(tokenizer))
    example = token_example(prompt + target, [-100] * len(prompt) + target, annotator, title="total")
    assert "".join(example.tokens) == answer
    weights = dict(zip(example.tokens, example.weights, strict=True))
    assert weights["日"] is None
    assert max(w for w in example.weights if w is not None) == 1.0
    annotation = annotator.annotate(prompt + target, labels=[-100] * len(prompt) + target)
    coloured = [w for w in example.weights if w is not None]
    assert np.allclose(coloured, annotation.structure_score[annotation.code_mask])


def test_ticks_are_round_and_cover_the_range():
    assert ticks(0.13, 2.9, 4) == [0, 1, 2, 3]
    assert ticks(5, 5, 4)[0] <= 5 <= ticks(5, 5, 4)[-1]
    assert line_chart([[]], "empty") == "<p class='empty'>no values were logged</p>"


# The page says how it was laid out: the width it needs, and what sticks out of the window.
PROBE = r"""<script>addEventListener("load", () => {
  for (const item of document.querySelectorAll("details")) item.open = true;
  const width = document.documentElement.clientWidth;
  const scrolls = (e) => e && (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
  const out = [...document.querySelectorAll("body *")].filter(
    (e) => e.getBoundingClientRect().right > width + 1 && !scrolls(e));
  const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const numbers = (c) => (c.match(/[\d.]+/g) || []).map(Number);
  const light = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const under = (e) => {  // the colour behind an element's text, its own opacity and those behind it mixed
    if (!e) return [255, 255, 255];
    const c = numbers(getComputedStyle(e).backgroundColor), alpha = c.length > 3 ? c[3] : 1;
    if (alpha === 1) return c;
    const behind = under(e.parentElement);
    return [0, 1, 2].map((i) => alpha * c[i] + (1 - alpha) * behind[i]);
  };
  const pale = new Set();
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility()) continue;
    const style = getComputedStyle(e);
    const a = light(numbers(e.ownerSVGElement ? style.fill : style.color)), b = light(under(e));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) pale.add(e.tagName + "." + e.className + " " + contrast.toFixed(2));
  }
  const taps = [...document.querySelectorAll("button, summary, nav a, #views label, input[type=search]")].filter(
    (e) => e.checkVisibility() && e.getBoundingClientRect().height < 40).map((e) => e.tagName + "." + e.className);
  const variable = document.querySelector("u[data-from]:not([data-from=''])");
  document.getElementById("view-flow").checked = true;
  variable.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
  const sources = document.querySelectorAll("u.source").length;
  const note = document.querySelector(".flow-note").textContent;
  const small = [...document.querySelectorAll("p, td, th, pre, summary, button")].filter(
    (e) => e.checkVisibility() && parseFloat(getComputedStyle(e).fontSize) < 11);
  parent.postMessage(JSON.stringify({ width, scroll: document.documentElement.scrollWidth,
    out: out.map((e) => e.tagName + "." + e.className), small: small.length, pale: [...pale], taps, sources, note,
    shown: document.getElementById("shown").textContent, owned: document.title === "owned" }), "*");
});</script>"""


@pytest.fixture
def chromium():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return shutil.which(name)
    pytest.skip("no chromium on this machine")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, False), (1280, True)])
def test_layout_in_a_browser(report, tmp_path, chromium, width, dark):
    layout = browser_layout(chromium, report["report.html"].read_text(), tmp_path, width, dark)
    assert layout["width"] == width
    assert layout["scroll"] <= width, f"the page is wider than the window: {layout['out']}"
    assert layout["out"] == []
    assert layout["small"] == 0
    assert layout["pale"] == [], "text below 4.5:1 (WCAG 2.2, 1.4.3)"
    assert width > 390 or layout["taps"] == [], "too low to tap"
    assert layout["shown"] == "5 of 5 shown"
    assert layout["sources"] >= 1
    assert "value from line" in layout["note"] or "computed from" in layout["note"]
    assert not layout["owned"]


def test_the_layout_test_sees_what_is_wrong(report, tmp_path, chromium):
    spoilt = (
        '<p style="width:600px;color:#999">wide and pale</p><button style="height:9px;min-height:0">x</button></main>'
    )
    html = report["report.html"].read_text().replace("</main>", spoilt)
    layout = browser_layout(chromium, html, tmp_path, 390, False)
    assert layout["scroll"] > 390
    assert "P." in layout["out"]
    assert [entry.split()[0] for entry in layout["pale"]] == ["P."]
    assert layout["taps"] == ["BUTTON."]


@pytest.mark.parametrize("width", [500, 1280])
def test_a_screenshot_shows_the_page(report, tmp_path, chromium, width):
    picture = tmp_path / "page.png"
    options = [f"--screenshot={picture}", f"--window-size={width},1400", "--hide-scrollbars"]
    browse(chromium, tmp_path, report["report.html"].as_uri(), *options)
    pixels = (255 * read_png(picture)[..., :3]).astype(int)
    assert pixels.shape[:2] == (1400, width)
    colours = {tuple(pixel) for pixel in pixels.reshape(-1, 3)[::7]}
    assert {(74, 111, 165), (200, 85, 27)} <= colours, "the students' colours"
    blank = (pixels == pixels[0, 0]).all(axis=-1).all(axis=1)
    assert blank.mean() < 0.6, "most lines of the page are empty"


def browser_layout(chromium, html, tmp_path, width, dark):
    """Lay the page out in a frame of the given width: a headless window of less than 500 pixels is widened."""
    html = html.replace("script-src 'sha256", "script-src 'unsafe-inline' 'x-sha256").replace(
        "</body>", PROBE + "</body>"
    )
    if dark:
        html = html.replace("@media (prefers-color-scheme: dark)", "@media all")
    (tmp_path / "page.html").write_text(html)
    holder = tmp_path / "holder.html"
    holder.write_text(
        f'<body style="margin:0"><iframe src="page.html" style="border:0;width:{width}px;height:900px"></iframe>'
        "<script>addEventListener('message', (e) => { document.body.dataset.layout = e.data; })</script>"
    )
    size = f"--window-size={width + 40},1000"
    dom = browse(chromium, tmp_path, holder.as_uri(), "--hide-scrollbars", "--dump-dom", size)
    found = re.search(r'data-layout="([^"]*)"', dom)
    assert found, dom[:2000]
    return json.loads(html_text.unescape(found.group(1)))


def browse(chromium, tmp_path, address, *options):
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --virtual-time-budget=5000"
    # else a picture is now and then taken before its last tiles are painted
    flags += " --run-all-compositor-stages-before-draw"
    command = [chromium, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", *options, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
