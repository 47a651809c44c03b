"""The bank: one frozen unit vector for each distinct solution of a training set, right or wrong."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from .code_encoders import CodeEncoder
from .errors import InputError
from .files import replace_file

VECTORS_FILE = "solution_bank.safetensors"
INFO_FILE = "solution_bank.json"
_PARTS = "parts"
_CHUNK = 256


def code_key(code: str) -> bytes:
    """16 bytes that stand for a program's text; line ends and surrounding blank lines do not count."""
    return hashlib.blake2b(_plain_text(code).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _plain_text(code: str) -> str:
    return code.replace("\r\n", "\n").strip("\n") + "\n"


@dataclass
class SolutionBank:
    """
    Attributes:
        vectors: (R, e) float32, rows of norm 1.
        keys: `code_key` of each row's program.
        info: encoder, its revision (commit on the Hub, hash of the contents of a folder), pooling, language, whether
            the mean was subtracted.
    """

    vectors: np.ndarray
    keys: list[bytes]
    info: dict[str, Any]
    _rows: dict[bytes, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rows = {key: row for row, key in enumerate(self.keys)}

    def __len__(self) -> int:
        return len(self.keys)

    def row_of(self, code: str) -> int | None:
        """The row of a program, None where the bank has none."""
        return self._rows.get(code_key(code))

    def save(self, folder: str | Path) -> Path:
        """Write the vectors, then the description: a bank without description is not finished."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        keys = np.frombuffer(b"".join(self.keys), dtype=np.uint8).reshape(-1, 16)
        (folder / INFO_FILE).unlink(missing_ok=True)
        replace_file(folder / VECTORS_FILE, lambda path: save_file({"vectors": self.vectors, "keys": keys}, path))
        number, dimension = self.vectors.shape
        info = {**self.info, "dimension": dimension, "number": number, "keys": "blake2b-128 of the program's text"}
        replace_file(folder / INFO_FILE, lambda path: path.write_text(json.dumps(info, indent=2) + "\n"))
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> SolutionBank:
        """Read a bank back.

        Raises:
            InputError: there is none, or it is damaged.
        """
        folder = Path(folder)
        try:
            info = json.loads((folder / INFO_FILE).read_text())
            tensors = load_file(folder / VECTORS_FILE)
            vectors, keys = tensors["vectors"], [row.tobytes() for row in tensors["keys"]]
        except FileNotFoundError as error:
            raise InputError(
                f"There is no bank of solutions in '{folder}': {Path(error.filename or VECTORS_FILE).name} is "
                "missing. Make one with `structdistill embed`."
            ) from error
        except (SafetensorError, KeyError, ValueError) as error:
            raise InputError(f"The bank in '{folder}' is damaged; run `structdistill embed` again.") from error
        if vectors.shape != (info.get("number"), info.get("dimension")) or len(keys) != len(vectors):
            raise InputError(
                f"The bank in '{folder}' is damaged: {INFO_FILE} says {info.get('number')} x {info.get('dimension')}, "
                f"{VECTORS_FILE} holds {len(vectors)} x {vectors.shape[1]}; run `structdistill embed` again."
            )
        return cls(vectors, keys, info)

    def check_covers(self, codes: Iterable[str], where: str) -> None:
        """Refuse a bank that lacks any of `codes`; `where` names the bank in the message."""
        wanted = {code_key(code) for code in codes}
        missing = len(wanted - self._rows.keys())
        if missing:
            raise InputError(
                f"The bank in '{where}' lacks {missing} of the {len(wanted)} solutions of the training set: it was "
                "made for another data set, or this one has changed. Run `structdistill embed --dataset ... --out "
                f"{where}`."
            )


def build_bank(
    codes: Iterable[str],
    encoder: CodeEncoder,
    *,
    parts: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SolutionBank:
    """
    Embed each distinct program once.

    Args:
        codes: programs; duplicates are embedded once.
        encoder: from `load_encoder`.
        parts: folder for finished pieces, so that an interrupted run continues; removed at the end.
        progress: called with programs done and programs in all.

    Raises:
        InputError: no programs.
    """
    programs = {code_key(code): _plain_text(code) for code in codes}
    if not programs:
        raise InputError("No solution in the data set holds code: the bank of embeddings would be empty.")
    by_length = sorted(programs, key=lambda key: len(programs[key]), reverse=True)
    folder = Path(parts) / _PARTS if parts is not None else None
    found: dict[bytes, np.ndarray] = {}
    for start in range(0, len(by_length), _CHUNK):
        chunk = by_length[start : start + _CHUNK]
        vectors = _chunk_vectors(chunk, [programs[key] for key in chunk], encoder, folder)
        found.update(zip(chunk, vectors, strict=True))
        if progress is not None:
            progress(len(found), len(by_length))
    vectors = _unit_rows(np.stack([found[key] for key in programs]), encoder.centred)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    return SolutionBank(vectors, list(programs), {**encoder.identity, "centred": encoder.centred})


def _chunk_vectors(keys: Sequence[bytes], codes: list[str], encoder: CodeEncoder, folder: Path | None) -> np.ndarray:
    """Vectors of one piece, from its file where an earlier run finished it."""
    if folder is None:
        return encoder.encode(codes)
    identity = json.dumps(encoder.identity, sort_keys=True).encode()
    file = folder / (hashlib.blake2b(identity + b"".join(keys), digest_size=16).hexdigest() + ".safetensors")
    with contextlib.suppress(FileNotFoundError, SafetensorError):
        return load_file(file)["vectors"]
    vectors = encoder.encode(codes)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(file, lambda path: save_file({"vectors": vectors}, path))
    return vectors


def _unit_rows(vectors: np.ndarray, centred: bool) -> np.ndarray:
    if centred and len(vectors) > 1:
        vectors = vectors - vectors.mean(axis=0)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms > 0, norms, 1.0)).astype(np.float32)
