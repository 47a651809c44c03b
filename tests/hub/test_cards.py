"""Merging a card with the one on the Hub: ours renewed, theirs kept, and twice is as once."""

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hf_structdistill.errors import InputError
from hf_structdistill.hub.cards import merge_cards, own_text

OURS = """---
license: mit
tags:
- a
- b
configs:
- config_name: sft
---

# Title

Summary.

## Use

```python
## no heading
```

## Limits

None.
"""


def data_of(card):
    return yaml.safe_load(card.split("---\n")[1])


def test_a_first_card_is_ours_with_marks():
    card = merge_cards(None, OURS)
    assert own_text(card) == "# Title"
    assert card.count("<!-- structdistill: begin ") == 3
    assert (
        "<!-- structdistill: begin use -->\n## Use\n\n```python\n## no heading\n```\n<!-- structdistill: end use -->"
        in card
    )


def test_what_others_wrote_stays_where_it_is():
    first = merge_cards(None, OURS)
    edited = first.replace("# Title", "# My title\n\nHand-made.").replace(
        "<!-- structdistill: begin limits -->", "## News\n\nMine.\n\n<!-- structdistill: begin limits -->"
    )
    edited = edited.replace("license: mit", "license: apache-2.0\nmine: 1").replace("- b\n", "- b\n- theirs\n")
    newer = OURS.replace("Summary.", "Newer.").replace("## Limits\n\nNone.", "## Results\n\n1.").replace("- a\n", "")
    card = merge_cards(edited, newer)
    assert own_text(card).split() == ["#", "My", "title", "Hand-made.", "##", "News", "Mine."]
    assert card.index("Hand-made.") < card.index("Newer.") < card.index("## Use") < card.index("## Results")
    assert "Summary." not in card and "## Limits" not in card
    data = data_of(card)
    assert (data["license"], data["mine"], data["tags"]) == ("mit", 1, ["b", "a", "theirs"])


def test_a_card_without_marks_keeps_its_text_before_ours():
    card = merge_cards("---\nlicense: mit\n---\n# By hand\n\nText.\n", OURS)
    assert card.index("# By hand") < card.index("Text.") < card.index("Summary.")
    assert "# Title" not in card


def test_metadata_of_files_that_are_gone_goes():
    card = merge_cards(merge_cards(None, OURS), OURS.replace("configs:\n- config_name: sft\n", ""))
    assert "configs" not in data_of(card)


blocks = st.lists(
    st.sampled_from(
        [
            "# T\n",
            "## A\n",
            "## B\n",
            "## A!\n",
            "text\n",
            "\n",
            "```\n",
            "````md\n",
            "## C\n",
            "~~~\n",
            " \n",
        ]
    ),
    max_size=12,
).map("".join)


@settings(deadline=None)
@given(existing=blocks, ours=blocks, newer=blocks)
@example(existing="", ours="## A\n", newer="# T\n")
def test_twice_is_as_once(existing, ours, newer):
    once = merge_cards(existing, ours)
    assert merge_cards(once, ours) == once
    then = merge_cards(once, newer)
    assert merge_cards(then, newer) == then
    if own_text(once):
        assert own_text(then).split() == own_text(once).split()


def test_metadata_that_is_not_yaml_is_said():
    with pytest.raises(InputError, match="not YAML"):
        merge_cards("---\na: [\n---\n", OURS)
