"""Request files for batch APIs, and the rows those APIs send back (OpenAI's form, which others share)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..problems.rows import optional
from .base import Request
from .message import read_message

SEPARATOR = "#"


def write_requests(path: str | Path, requests: Iterable[Request], *, model: str | None = None) -> int:
    """Write one request a line; returns how many. The `custom_id` says problem, recipe and sample.

    Args:
        model: the name that the endpoint knows the model by; the teacher of the requests if not given.

    Raises:
        InputError: requests of several teachers, since no `custom_id` would tell them apart; the file cannot be
            written.
    """
    lines = []
    requests = list(requests)
    teachers = dict.fromkeys(request.teacher for request in requests)
    if len(teachers) > 1:
        raise InputError(
            f"Expected the requests of one model for a file, found {', '.join(teachers)}: batch APIs take one model a "
            "file, and the replies could not be told apart. Write a file for each --teacher."
        )
    for request in requests:
        body = {"model": model or request.teacher, "messages": [dict(m) for m in request.messages], **request.sampling}
        label = SEPARATOR.join((request.problem_id, request.recipe, str(request.sample)))
        lines.append(json.dumps({"custom_id": label, "method": "POST", "url": "/v1/chat/completions", "body": body}))
    try:
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"Expected to write the requests to '{path}', found: {error.strerror}.") from None
    return len(lines)


def as_recorded(row: Mapping[str, Any], where: str) -> dict[str, Any] | None:
    """A reply of a batch API in the form of a recorded row; None for a request that failed there, or a blank reply.

    Raises:
        InputError: the `custom_id` is not one that `write_requests` gave, or the response is no object.
    """
    parts = str(row["custom_id"]).rsplit(SEPARATOR, 2)
    if len(parts) != 3 or not parts[2].isdigit():
        raise InputError(
            f"Expected a custom_id problem{SEPARATOR}recipe{SEPARATOR}sample in {where}, found '{row['custom_id']}'; "
            "use replies to a file made by --export-requests."
        )
    response = optional(row, "response", dict, where) or {}
    body = optional(response, "body", dict, f"'response' of {where}") or {}
    choices = optional(body, "choices", list, f"'body' of {where}") or []
    if row.get("error") or response.get("status_code", 200) != 200 or not choices:
        return None
    choice = choices[0] if isinstance(choices[0], Mapping) else {}
    try:
        text, thoughts = read_message(choice.get("message"))
    except ValueError as error:
        raise InputError(
            f"Expected a message with text in {where}, found another form: {error}; convert it."
        ) from None
    if not (text.strip() or (thoughts or "").strip()):
        return None
    field = "plan" if parts[1] == "backward" else "response"
    return {
        "problem_id": parts[0],
        field: text,
        "reasoning_content": thoughts,
        "finish_reason": choice.get("finish_reason"),
        "usage": body.get("usage") or {},
        "sampling": {"sample": int(parts[2])},
        "model": optional(body, "model", str, f"'body' of {where}"),
    }
