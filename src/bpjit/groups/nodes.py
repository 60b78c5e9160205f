"""Nodes: the keys of a table, and the coarser keys that are their parents, as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..maths import random_streams
from .keys import Coded, Key, Ordered, ordered


@dataclass(frozen=True, eq=False)
class Nodes:
    """Keys, then their parents, level by level, last that of all rows, whose key is empty.

    The keys are in order, so that the children of a node stand together, and so do their rows.
    """

    keys: list[Key]
    parents: np.ndarray  # number of the parent of each node, -1 for none, [shape: (nodes,)]
    starts: np.ndarray  # where the rows of each begin in the order
    counts: np.ndarray  # and how many they are
    full: int  # how many of them are keys of the table, not parents

    def __len__(self) -> int:
        return len(self.keys)

    def places(self, nodes: np.ndarray, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Places in the order of the rows that these nodes learn from, one node after the other; and how many each has.

        Of a parent that has more than ``most`` rows these are so many, one from each of as many equal stretches."""
        counts = self.counts[nodes].copy()
        long = (nodes >= self.full) & (counts > most)
        counts[long] = most
        starts = np.cumsum(counts) - counts
        places = np.arange(counts.sum()) + np.repeat(self.starts[nodes] - starts, counts)
        for place in np.flatnonzero(long).tolist():
            node, first = nodes[place], starts[place]
            drawn = random_streams.uniforms(seed, random_streams.PARENTS, 0, most)
            ends = np.arange(most + 1) * int(self.counts[node]) // most
            chosen = ends[:-1] + (drawn * np.diff(ends)).astype(np.int64)
            places[first : first + most] = self.starts[node] + chosen
        return places, counts


def as_nodes(found: Coded, with_parents: bool) -> tuple[Nodes, Ordered]:
    """The tree above the keys of a table."""
    order = ordered(found)
    keys, starts, counts = list(found.keys), [order.starts[:-1]], [np.diff(order.starts)]
    parents, level, first = [], list(found.keys), 0
    while with_parents and level[0]:
        heads = [0] + [place for place in range(1, len(level)) if level[place][:-1] != level[place - 1][:-1]]
        lengths = np.diff([*heads, len(level)])
        parents.append(first + len(level) + np.repeat(np.arange(len(heads)), lengths))
        starts.append(starts[-1][heads])
        counts.append(np.add.reduceat(counts[-1], heads))
        first += len(level)
        level = [level[head][:-1] for head in heads]
        keys += level
    parents.append(np.full(len(level), -1))
    nodes = Nodes(keys, np.concatenate(parents), np.concatenate(starts), np.concatenate(counts), len(found.keys))
    return nodes, order


def chunks_of(counts: np.ndarray, width: int, most: int) -> list[np.ndarray]:
    """Nodes that are brought into the networks' units and trained at a time, the longest first: as many as ``width``,
    so that all lanes are taken, or a multiple of it of at most ``most`` rows, all about as long."""
    by_length = np.argsort(-counts, kind="stable")
    lengths, chunks, first = counts[by_length], list[np.ndarray](), 0
    while first < len(counts):
        longest = max(1, int(lengths[first]))
        alike = first + int(np.searchsorted(-lengths[first:], -0.75 * longest, side="right"))
        wanted = width * max(1, most // (longest * width))
        last = first + max(min(wanted, alike - first), min(width, len(counts) - first))
        chunks.append(by_length[first:last])
        first = last
    return chunks


def listed(keys: Sequence[Key], most: int = 3) -> str:
    """Some keys, for an error."""
    words = [repr(key[0] if len(key) == 1 else key) for key in keys[:most]]
    return ", ".join(words) + (f" and {len(keys) - most} more" if len(keys) > most else "")
