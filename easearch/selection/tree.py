"""The best sum of tables over variables, exactly, by eliminating one variable after the other.

Max-sum bucket elimination [Dechter1999]: a variable's tables and the messages that reach it are
added up (its *cluster*), the maximum over the variable is the message to the next. Residual
networks are nearly trees, so clusters have two or three variables. A second pass, from the last
cluster back, gives the best sum for every single option (its max-marginal).

Where a cluster would be larger than `cap`, its variable gets copies, each with a part of its tables
(mini-buckets): the sum found is then an upper bound and no longer attained. Variables that are
sums so far go before what they are sums of: their message is a look-up.

[Dechter1999] Bucket elimination: a unifying framework for reasoning. Artificial Intelligence 113.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from easearch.selection.dominated import Barrier
from easearch.selection.program import Link, Program

CAP = 2**21
"""Entries of the largest cluster, 16 MB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cluster:
    """One variable's elimination.

    Attributes:
        axes: the variable first, the others rising.
        parts: numbers of tables and barriers (from 0), and of clusters whose messages come here
            (-1 - number), with the axes to be permuted and the places to be filled up.
        out: axes of its message, rising.
        link: where the variable is a sum so far.
    """

    axes: tuple[int, ...]
    parts: list[tuple[int, tuple[int, ...], tuple[slice | None, ...]]]
    out: tuple[int, ...]
    link: Link | None


class Tree:
    """The order of elimination, worked out once, and the passes over it."""

    def __init__(self, program: Program, barriers: Sequence[Barrier] = (), cap: int = CAP) -> None:
        self.sizes, self.cap = program.sizes, cap
        self.scopes = [*program.scopes, *(scope for scope, _ in barriers)]
        self.barriers = [table for _, table in barriers]
        self.spans = list(
            zip(program.offsets[:-1].tolist(), program.offsets[1:].tolist(), strict=True)
        )
        self.links = {link.target: link for link in program.links}
        self.groups = len(program.names)
        self.clusters: list[Cluster] = []
        self.target: dict[int, int] = {}
        """Cluster -> the one that its message goes to."""
        self._build()
        self.exact = len(self.clusters) == len(self.sizes)

    # --- the order

    def _build(self) -> None:
        factors: dict[int, frozenset[int]] = {t: frozenset(s) for t, s in enumerate(self.scopes)}
        at: dict[int, set[int]] = {v: set() for v in range(len(self.sizes))}
        for number, scope in factors.items():
            for v in scope:
                at[v].add(number)
        waiting = dict.fromkeys(at, 0)
        for link in self.links.values():
            for parent in (link.left, link.right):
                waiting[parent] += 1
        cost = {v: self._cost(v, factors, at) for v in at}
        while at:
            v = min((v for v in at if not waiting[v]), key=lambda v: (cost[v], v))
            touched = {w for f in at[v] for w in factors[f]}
            for bucket in self._buckets(v, factors, at.pop(v)):
                number = -1 - len(self.clusters)
                scope = self._add(v, bucket, factors)
                for w in scope:
                    at[w].add(number)
                factors[number] = scope
                touched |= scope
            gone = [f for w in touched if w in at for f in at[w] if v in factors[f]]
            for f in gone:
                for w in factors[f]:
                    if w in at:
                        at[w].discard(f)
            if v in self.links:
                for parent in (self.links[v].left, self.links[v].right):
                    waiting[parent] -= 1
                    touched.add(parent)
            cost.update((w, self._cost(w, factors, at)) for w in touched if w in at)

    def _cost(self, v: int, factors: dict[int, frozenset[int]], at: dict[int, set[int]]) -> float:
        return self._size(v, frozenset().union(*(factors[f] for f in at[v])))

    def _size(self, v: int, scope: frozenset[int]) -> float:
        """Entries of the cluster or its message, whichever is more."""
        own = math.prod(self.sizes[w] for w in scope | {v})
        if v not in self.links:
            return own
        return max(own, math.prod(self.sizes[w] for w in self._message(v, scope)))

    def _message(self, v: int, scope: frozenset[int]) -> frozenset[int]:
        rest = scope - {v}
        link = self.links.get(v)
        return rest | {link.left, link.right} if link else rest

    def _buckets(
        self, v: int, factors: dict[int, frozenset[int]], found: set[int]
    ) -> list[list[int]]:
        """The factors of a variable, in parts whose cluster is no larger than the cap."""
        order = sorted(found, key=lambda f: (-len(factors[f]), f))
        buckets: list[tuple[list[int], frozenset[int]]] = []
        for f in order:
            for i, (members, scope) in enumerate(buckets):
                if self._size(v, scope | factors[f]) <= self.cap:
                    buckets[i] = ([*members, f], scope | factors[f])
                    break
            else:
                buckets.append(([f], factors[f]))
        return [members for members, _ in buckets] or [[]]

    def _add(self, v: int, bucket: list[int], factors: dict[int, frozenset[int]]) -> frozenset[int]:
        scope = frozenset({v}).union(*(factors[f] for f in bucket))
        axes = (v, *sorted(scope - {v}))
        parts = []
        for f in bucket:
            own = self.scopes[f] if f >= 0 else self.clusters[-1 - f].out
            order = tuple(sorted(range(len(own)), key=lambda i: axes.index(own[i])))
            filled = tuple(slice(None) if w in own else None for w in axes)
            parts.append((f, order, filled))
            if f < 0:
                self.target[-1 - f] = len(self.clusters)
        out = self._message(v, scope)
        self.clusters.append(
            Cluster(axes=axes, parts=parts, out=tuple(sorted(out)), link=self.links.get(v))
        )
        return out

    # --- the passes

    def up(self, weights: np.ndarray) -> tuple[float, list[np.ndarray]]:
        """The best sum, and what is added up in every cluster; `weights` has a number an entry."""
        messages: list[np.ndarray] = []
        sums: list[np.ndarray] = []
        total = 0.0
        for number, cluster in enumerate(self.clusters):
            whole = np.zeros(tuple(self.sizes[v] for v in cluster.axes))
            for f, order, filled in cluster.parts:
                part = self._table(f, weights) if f >= 0 else messages[-1 - f]
                whole += part.transpose(order)[filled]
            sums.append(whole)
            link = cluster.link
            message = whole[self._looked_up(cluster, link)] if link else whole.max(axis=0)
            messages.append(message)
            if number not in self.target:
                total += float(message)
        self._messages = messages
        return total, sums

    def best(self, sums: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The options that attain the best sum, and the entry of every table there.

        Where variables have copies, the entries are those of the copies, the options those of the
        first ones.
        """
        at: list[dict[int, int]] = [{} for _ in self.clusters]
        full: dict[int, int] = {}
        entries = np.zeros(len(self.spans), dtype=np.int64)
        for number in reversed(range(len(self.clusters))):
            cluster = self.clusters[number]
            known = at[self.target[number]] if number in self.target else {}
            rest = tuple(known[v] for v in cluster.axes[1:])
            v = cluster.axes[0]
            if cluster.link:
                left, right = known[cluster.link.left], known[cluster.link.right]
                value = int(cluster.link.following[left, right])
            else:
                lines = sums[number].reshape(self.sizes[v], -1)
                line = np.ravel_multi_index(rest, sums[number].shape[1:]) if rest else 0
                value = int(lines[:, int(line)].argmax())
            at[number] = {**dict(zip(cluster.axes[1:], rest, strict=True)), v: value}
            full[v] = value
            for f, _, _ in cluster.parts:
                if 0 <= f < len(self.spans):
                    scope = self.scopes[f]
                    shape = tuple(self.sizes[w] for w in scope)
                    place = np.ravel_multi_index(tuple(at[number][w] for w in scope), shape)
                    entries[f] = self.spans[f][0] + int(place)
        return np.array([full[g] for g in range(self.groups)], dtype=np.int64), entries

    def marginals(self, total: float, sums: Sequence[np.ndarray]) -> list[np.ndarray]:
        """For every group the best sum with each of its options; needs the last `up`."""
        beliefs: list[np.ndarray] = [np.empty(0)] * len(self.clusters)
        found = [np.full(self.sizes[g], np.inf) for g in range(self.groups)]
        for number in reversed(range(len(self.clusters))):
            cluster, message = self.clusters[number], self._messages[number]
            if number in self.target:
                above = self.clusters[self.target[number]]
                best = _onto(beliefs[self.target[number]], above.axes, cluster.out)
                open_ = message > -np.inf
                outside = np.subtract(best, message, out=np.full(best.shape, -np.inf), where=open_)
            else:
                outside = np.asarray(total - message)
            if cluster.link:
                far = np.full(sums[number].shape, -np.inf)
                np.maximum.at(far, self._looked_up(cluster, cluster.link), outside)
                beliefs[number] = sums[number] + far
            else:
                beliefs[number] = sums[number] + outside[None]
                v = cluster.axes[0]
                most = beliefs[number].reshape(self.sizes[v], -1).max(axis=1)
                if v < self.groups:
                    found[v] = np.minimum(found[v], most)
        return found

    def _table(self, number: int, weights: np.ndarray) -> np.ndarray:
        if number >= len(self.spans):
            return self.barriers[number - len(self.spans)]
        start, end = self.spans[number]
        return weights[start:end].reshape(tuple(self.sizes[v] for v in self.scopes[number]))

    def _looked_up(self, cluster: Cluster, link: Link) -> tuple[np.ndarray, ...]:
        """For every entry of the message the entry of the cluster that it is."""
        places = {
            v: np.arange(self.sizes[v]).reshape([-1 if w == v else 1 for w in cluster.out])
            for v in cluster.out
        }
        shape = [self.sizes[v] if v in (link.left, link.right) else 1 for v in cluster.out]
        table = link.following if link.left < link.right else link.following.T
        places[link.target] = table.reshape(shape)
        return tuple(places[v] for v in cluster.axes)


# --- formulas


def _onto(belief: np.ndarray, axes: Sequence[int], kept: Sequence[int]) -> np.ndarray:
    """The maximum over all axes but those kept, which are rising."""
    dropped = tuple(i for i, v in enumerate(axes) if v not in kept)
    left = [v for v in axes if v in kept]
    reduced = belief.max(axis=dropped) if dropped else belief
    return reduced.transpose([left.index(v) for v in kept])
