"""The examples of docs/metrics.md are true: its code, and each row of the table of misleading cases."""

import doctest
import re
from pathlib import Path

import pytest

from hf_structdistill.scoring import dataflow_match, syntax_match

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"\| (.+) \| (syntax|data flow) \| `(.+)` \| `(.+)` \| (\S+) \| (\S+) \|")


def rows():
    return [match.groups() for line in PAGE.read_text().splitlines() if (match := ROW.fullmatch(line))]


@pytest.mark.parametrize(("case", "score", "reference", "prediction", "published", "strict"), rows())
def test_misleading_case(case, score, reference, prediction, published, strict):
    match = syntax_match if score == "syntax" else dataflow_match
    texts = [text.replace("\\n", "\n").replace("\\t", "\t") for text in (prediction, reference)]
    for mode, expected in (("codexglue", published), ("strict", strict)):
        report = match([texts[0]], [texts[1]], mode=mode)
        value = next(iter(report.values()))
        assert ("undefined" if report["undefined"] else f"{value:.2f}") == expected, mode


def test_the_table_is_read():
    assert len(rows()) > 15


def test_code_examples():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    test = doctest.DocTestParser().get_doctest("".join(blocks), {}, "metrics.md", None, 0)
    results = doctest.DocTestRunner().run(test)
    assert results.attempted >= 4 and results.failed == 0
