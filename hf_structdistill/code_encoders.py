"""Programs to vectors: by a code encoder from the Hub, or by their structure alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from . import __version__
from .errors import InputError
from .model_names import cached_revision
from .structure.fingerprint import structure_fingerprint

FINGERPRINT = "fingerprint"


class CodeEncoder(Protocol):
    """Attributes:
    identity: what decides the vectors, for the bank's record: encoder, revision, pooling, language.
    centred: whether the bank subtracts the mean of its vectors.
    """

    identity: dict[str, str | None]
    centred: bool

    def encode(self, codes: Sequence[str]) -> np.ndarray:
        """(n, e) float32."""


class FingerprintEncoder:
    """Hashed structure (`structure_fingerprint`): no model, no network; names and literals do not enter."""

    centred = False

    def __init__(self, language: str = "python") -> None:
        self.language = language
        self.identity = {"encoder": FINGERPRINT, "revision": __version__, "pooling": None, "language": language}

    def encode(self, codes: Sequence[str]) -> np.ndarray:
        return np.stack([structure_fingerprint(code, self.language) for code in codes])


class TransformerEncoder:
    """
    A pretrained encoder: the mean of its last hidden states over the tokens of the code.

    Code that is longer than the encoder reads is read in windows. The vectors of such models share a large common
    direction, beside which programs hardly differ; the bank subtracts it (Mu and Viswanath 2018, arXiv 1702.01417).

    Args:
        name: id on the Hub, or folder.
        revision: branch, tag or commit on the Hub.
        batch_size: windows encoded at once.

    Raises:
        InputError: the encoder or its tokenizer cannot be loaded.
    """

    centred = True

    def __init__(self, name: str, revision: str | None = None, language: str = "python", batch_size: int = 32) -> None:
        from transformers import AutoModel, AutoTokenizer

        try:
            self.tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
            model = AutoModel.from_pretrained(name, revision=revision, dtype=torch.float32)
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"The encoder '{name}' could not be loaded ({reason}). Expected the id of a model on the Hub, such as "
                "microsoft/codebert-base, a folder with one, or 'fingerprint', which needs no model."
            ) from error
        if not self.tokenizer.is_fast:
            raise InputError(f"The encoder '{name}' has no fast tokenizer; expected a tokenizer.json. Choose another.")
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.convert_ids_to_tokens(0)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = (model.get_encoder() if model.config.is_encoder_decoder else model).to(device).eval()
        self.batch_size = batch_size
        self.window = _window(self.tokenizer, model.config)
        commit = _content_hash(Path(name)) if Path(name).is_dir() else cached_revision(name, revision)
        label = Path(name).resolve().name if Path(name).is_dir() else name
        self.identity = {"encoder": label, "revision": commit, "pooling": "mean", "language": language}

    def encode(self, codes: Sequence[str]) -> np.ndarray:
        windows = self.tokenizer(
            list(codes),
            truncation=True,
            max_length=self.window,
            return_overflowing_tokens=True,
            return_special_tokens_mask=True,
        )
        owners = np.asarray(windows["overflow_to_sample_mapping"])
        order = np.argsort([len(ids) for ids in windows["input_ids"]], kind="stable")
        sums = np.zeros((len(codes), self.model.config.hidden_size), dtype=np.float64)
        counts = np.zeros(len(codes), dtype=np.int64)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            summed, lengths = self._sum_states([windows["input_ids"][i] for i in chosen], windows, chosen)
            np.add.at(sums, owners[chosen], summed)
            np.add.at(counts, owners[chosen], lengths)
        return (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)

    @torch.inference_mode()
    def _sum_states(self, rows: list[list[int]], windows: Any, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sum of the states over the code's own tokens, and how many these are, for each window."""
        batch = self.tokenizer.pad({"input_ids": rows}, return_tensors="pt").to(self.model.device)
        states = self.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        own = torch.zeros(states.shape[:2], device=states.device)
        for row, number in enumerate(chosen):
            flags = 1 - torch.tensor(windows["special_tokens_mask"][number], dtype=own.dtype)
            own[row, : len(flags)] = flags.to(own.device)
        return torch.einsum("btd,bt->bd", states.float(), own).cpu().numpy(), own.sum(1).long().cpu().numpy()


def load_encoder(
    name: str, revision: str | None = None, language: str = "python", batch_size: int = 32
) -> CodeEncoder:
    """The encoder called `name`: "fingerprint", an id on the Hub, or a folder."""
    if name == FINGERPRINT:
        if revision is not None:
            raise InputError(f"The fingerprint has no revisions; found '{revision}'. Leave the revision out.")
        return FingerprintEncoder(language)
    return TransformerEncoder(name, revision, language, batch_size)


def _window(tokenizer: Any, config: Any) -> int:
    """Tokens the encoder reads at once. RoBERTa's first position is the padding id plus one, hence two fewer."""
    positions = getattr(config, "max_position_embeddings", None)
    return min(tokenizer.model_max_length, positions - 2 if positions else 512, 4096)


def _content_hash(folder: Path) -> str:
    """Hash of the names and contents of a folder's files."""
    digest = hashlib.blake2b(digest_size=20)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(folder)).encode() + b"\0")
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
