"""A fixed-length embedding of a program's structure: no model, no network, the same on every machine."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator

import numpy as np

from .dataflow import analyse_dataflow
from .tree import SyntaxTree, parse


def structure_fingerprint(source: str | bytes, language: str = "python", size: int = 256) -> np.ndarray:
    """Hash a program's structure into a unit vector.

    Features: each node's type under its parent's and grandparent's, each node's sequence of child types, and each
    def-use edge (in languages with a data flow) as the types around its two ends. Names and literals do not enter, so
    a renamed program has the same fingerprint. Counts are damped by log(1 + n) and hashed with a sign (feature
    hashing, Weinberger et al. 2009).

    Returns:
        (size,) float32 of norm 1; zeros for a program without any node but the root, such as the empty one.
    """
    tree = parse(source, language)
    vector = np.zeros(size, dtype=np.float32)
    if len(tree) == 1:
        return vector
    for feature, number in Counter(_features(tree)).items():
        code = zlib.crc32(feature.encode())
        vector[code % size] += (1.0 if code & 0x80000000 else -1.0) * np.log1p(number)
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm else vector


def _features(tree: SyntaxTree) -> Iterator[str]:
    names = [tree.kind_name(node) for node in range(len(tree))]
    for node, parent in enumerate(tree.parents):
        above = names[parent] if parent >= 0 else ""
        beyond = names[tree.parents[parent]] if parent >= 0 and tree.parents[parent] >= 0 else ""
        yield f"path {beyond} {above} {names[node]}"
        children = tree.children(node)
        if children:
            yield f"shape {names[node]} " + " ".join(names[child] for child in children)
    yield from _flow_features(tree, names)


def _flow_features(tree: SyntaxTree, names: list[str]) -> Iterator[str]:
    if tree.language.analyse_dataflow is None:
        return
    flow = analyse_dataflow(tree)
    around = {start: names[parent] for start, parent in zip(tree.starts, tree.parents, strict=True) if parent >= 0}
    for use, definitions in flow.edges:
        for definition in definitions:
            ends = (flow.occurrences[definition].start, flow.occurrences[use].start)
            yield "flow " + " ".join(around.get(end, "") for end in ends)
