"""Signing in to the Hub, and what its refusals mean for the user."""

from __future__ import annotations

import os
import random
from typing import Any

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from ..errors import InputError

LOG_IN = "run `hf auth login` with a token that may write"
_MOVED = (409, 412)  # somebody else committed meanwhile, or is about to
_BUSY = (408, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 300.0  # seconds; a Retry-After above it is an answer, not a pause


def sign_in(token: str | None = None, *, token_from_env: str | None = None) -> HfApi:
    """A client whose token may write.

    Args:
        token: by default the one of HF_TOKEN or of `hf auth login`.
        token_from_env: name of an environment variable that holds the token.

    Raises:
        InputError: no token, a token the Hub does not know, or one that may only read. No message holds the token.
    """
    if token_from_env is not None:
        token = os.environ.get(token_from_env)
        if not token:
            raise InputError(f"Expected a Hub token in the environment variable {token_from_env}, found none; set it.")
    token = token or get_token()
    if not token:
        raise InputError(f"Expected a Hub token, found none; {LOG_IN} (or set HF_TOKEN).")
    api = HfApi(token=token)
    try:
        account = api.whoami()
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in (401, 403):
            raise InputError(f"The Hub does not accept this token; {LOG_IN} (HF_TOKEN goes before it).") from None
        return api  # too busy to say: the commit will tell
    except (HTTPError, OSError) as error:
        raise explain(error) from None
    role = (account.get("auth") or {}).get("accessToken", {}).get("role")
    if role == "read":
        raise InputError(f"This Hub token may only read; {LOG_IN} (HF_TOKEN goes before it).")
    return api


def explain(error: BaseException, repo_id: str | None = None) -> InputError:
    """A refusal of the Hub as one line: what happened, and what to do."""
    root = _root(error)
    at = f"'{repo_id}'" if repo_id else constants.ENDPOINT
    if isinstance(root, OfflineModeIsEnabled):
        return InputError("Publishing needs the Hub, and HF_HUB_OFFLINE is set; unset it.")
    if isinstance(root, HFValidationError):
        return InputError(f"Expected a repository as NAMESPACE/NAME, found '{repo_id}'.")
    status = _status(root)
    if status is None and isinstance(root, FileNotFoundError):
        return InputError(f"A file to publish is gone: {_one_line(root)}")
    if status is None and isinstance(root, ValueError):
        return InputError(f"The Hub did not take the files for {at}: {_one_line(root)}")
    if isinstance(root, RepositoryNotFoundError) or status in (401, 404):
        return InputError(f"The Hub shows this token no repository {at}; check the name, or {LOG_IN} there.")
    if status == 403 or isinstance(root, PermissionError):
        return InputError(f"This Hub token may not write to {at}; {LOG_IN} there, or choose another --repo.")
    if status is not None:
        said = getattr(root, "server_message", None) or str(root).splitlines()[0]
        return InputError(f"The Hub refused {at} with status {status}: {_one_line(said)}")
    return InputError(
        f"The Hub at {constants.ENDPOINT} does not answer ({type(root).__name__}: {_one_line(root)}); what was there "
        "before is unchanged. Run the same command again."
    )


def pause(error: BaseException, attempt: int, first: float) -> float | None:
    """Seconds to wait before the next attempt, from 0; None where another attempt cannot help."""
    root = _root(error)
    status = _status(root)
    if isinstance(root, OfflineModeIsEnabled | HFValidationError | PermissionError | FileNotFoundError):
        return None
    if status is not None and status not in (*_MOVED, *_BUSY):
        return None
    if status is None and not isinstance(root, HTTPError | OSError | RuntimeError):
        return None
    asked = root.response.headers.get("Retry-After", "") if status is not None else ""  # type: ignore[attr-defined]
    if asked.isdigit():
        return float(asked) if float(asked) <= _LONGEST_WAIT else None
    return first * 2**attempt * (0.5 + random.random())


def _root(error: BaseException) -> BaseException:
    """huggingface_hub wraps a failed upload into a RuntimeError: what went wrong is its cause."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _status(error: Any) -> int | None:
    response = getattr(error, "response", None) if isinstance(error, HfHubHTTPError) else None
    return None if response is None else response.status_code


def _one_line(message: Any) -> str:
    text = " ".join(str(message).split())
    return text if len(text) <= 200 else text[:199] + "…"
