"""Cards with marked sections: what others wrote outside them outlives every publishing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from ..errors import InputError

_METADATA = re.compile(r"\A---\r?\n(.*?\n)?---\r?\n", re.DOTALL)
_SECTION = re.compile(r"<!-- structdistill: begin (\S+) -->\n(.*?)<!-- structdistill: end \1 -->\n", re.DOTALL)
_OURS = ("base_model", "configs", "datasets", "dataset_info", "library_name", "model-index", "structdistill")
"""Metadata that describes the files: gone from our card means gone."""


def merge_cards(existing: str | None, ours: str) -> str:
    """The card to publish: our sections and metadata, and the rest as it is on the Hub.

    Each part of `ours` under a heading of the second level is a section, marked by HTML comments; the text between
    the title and the first such heading is the section "summary". In `existing`, marked sections are replaced where
    they stand, new ones follow their predecessor, and ours that are gone are taken out. Of the metadata, ours wins;
    other keys stay, and tags are united. Merging twice changes nothing.

    Raises:
        InputError: the metadata of the card on the Hub is not YAML.
    """
    our_data, our_body = split_card(ours)
    marked = mark_sections(our_body)
    if existing is None:
        return _join(our_data, marked)
    try:
        data, body = split_card(existing)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"The metadata of README.md on the Hub is not YAML ({reason}); mend it there.") from error
    return _join(_merge_metadata(data, our_data), _merge_bodies(body, marked))


def mark_sections(body: str) -> str:
    """`body` with every section between its marks; the title stays outside."""
    title, sections = _sections(body)
    marked = [f"{_begin(name)}{text.strip()}\n{_end(name)}" for name, text in sections.items() if text.strip()]
    return "\n".join([title.strip() + "\n", *marked]) if title.strip() else "\n".join(marked)


def own_text(card: str) -> str:
    """What a card says outside our sections and its metadata."""
    return _SECTION.sub("", split_card(card)[1]).strip()


def _begin(name: str) -> str:
    return f"<!-- structdistill: begin {name} -->\n"


def _end(name: str) -> str:
    return f"<!-- structdistill: end {name} -->\n"


def split_card(card: str) -> tuple[dict[str, Any], str]:
    """The metadata of a card, empty where it has none, and its text."""
    found = _METADATA.match(card)
    if not found:
        return {}, card
    data = yaml.safe_load(found.group(1) or "")
    return (data if isinstance(data, dict) else {}), card[found.end() :]


def _join(data: Mapping[str, Any], body: str) -> str:
    text = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n\n{body.strip()}\n"


def _sections(body: str) -> tuple[str, dict[str, str]]:
    """The title, and the text under each heading of the second level; fenced lines are no headings."""
    title, name, fence = "", "summary", ""
    sections: dict[str, str] = {}
    for line in body.splitlines(keepends=True):
        mark = re.match(r"\s{0,3}(`{3,}|~{3,})", line)
        if mark and not fence:
            fence = mark.group(1)
        elif mark and mark.group(1).startswith(fence) and line.strip() == mark.group(1):
            fence = ""
        elif not fence and line.startswith("# ") and not title and name == "summary":
            title = line
            continue
        elif not fence and line.startswith("## "):
            name = _slug(line[3:])
            while name in sections:
                name += "-"
        sections[name] = sections.get(name, "") + line
    return title, sections


def _slug(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") or "section"


def _merge_metadata(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in theirs.items() if key not in _OURS or key in ours}
    merged = {**kept, **ours}
    if isinstance(theirs.get("tags"), list) and isinstance(ours.get("tags"), list):
        merged["tags"] = list(dict.fromkeys([*ours["tags"], *theirs["tags"]]))
    # in the order of ours, then theirs: the same whichever of the two was there first
    return {key: merged[key] for key in [*ours, *(key for key in kept if key not in ours)]}


def _merge_bodies(body: str, marked: str) -> str:
    ours = {found.group(1): found.group(0) for found in _SECTION.finditer(marked)}
    present = [found.group(1) for found in _SECTION.finditer(body)]
    if not present:
        lead = body.strip()
        return "\n".join([f"{lead}\n", *ours.values()]) if lead else marked
    before = ""
    trailing: dict[str, list[str]] = {}  # sections that the card lacks, by the one they follow
    for name in ours:
        if name in present:
            before = name
        else:
            trailing.setdefault(before, []).append(ours[name])

    def replaced(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in ours:
            return ""
        first = trailing.pop("", []) if name == next(n for n in present if n in ours) else []
        return "\n".join([*first, ours[name], *trailing.pop(name, [])])

    text = _SECTION.sub(replaced, body)
    left = [section for sections in trailing.values() for section in sections]
    merged = "\n".join([text.rstrip() + "\n", *left]) if left else text
    return merged if merged.strip() else marked  # nothing of the old card is left: our title opens the new one
