"""The Merkle tree over the journal's leaves, as in RFC 6962, computed from few hashes however long the journal is.

Of complete subtrees the hashes at every eighth level are kept; the levels between are computed from at most 256 of
those below, a tile. `Fetch` hands tiles out: level 0 are the leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator

# Level and tiles: the hashes that are kept of each, in order; tile 3 are those from 768 on.
Fetch = Callable[[int, Collection[int]], dict[int, list[bytes]]]
STEP = 8
EMPTY = hashlib.sha256(b"").digest()


class TreeIsIncomplete(LookupError):
    """A hash that has to be there is not."""


def leaf_hash(content: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of what stands above two."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(width: int) -> int:
    """How many leaves are left of the middle: the largest power of two below their number."""
    return 1 << (width - 1).bit_length() - 1


def siblings(index: int, size: int) -> Iterator[tuple[int, int]]:
    """The ranges [from, to) of leaves whose hashes lead from a leaf to the root, beginning at the root."""
    low, high = 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            yield middle, high
            high = middle
        else:
            yield low, middle
            low = middle


class Tree:
    """The tree over the first `size` leaves."""

    def __init__(self, size: int, fetch: Fetch) -> None:
        self.size, self._fetch = size, fetch
        self._tiles: dict[tuple[int, int], list[list[bytes]]] = {}

    def root(self) -> bytes:
        """The hash over all of it."""
        return self.over(0, self.size) if self.size else EMPTY

    def read_ahead(self, indexes: Collection[int]) -> None:
        """Fetch at once what leads from these leaves to the root: as often as there are levels of tiles."""
        level = 0
        while self.size >> level:
            self._read(level, {index >> level >> STEP for index in indexes})
            level += STEP

    def over(self, low: int, high: int) -> bytes:
        """The hash over the leaves [low, high): a range that `siblings` gives, or the whole."""
        width = high - low
        if width & (width - 1) == 0:
            level = width.bit_length() - 1
            return self._complete(level, low >> level)
        middle = low + split(width)
        return node_hash(self.over(low, middle), self.over(middle, high))

    def consistency(self, older: int) -> list[bytes]:
        """The hashes that show that the tree over the first `older` leaves is a beginning of this one (RFC 6962,
        section 2.1.2). 0 < older <= size."""
        return list(self._consistency(older, 0, self.size, whole=True))

    def _consistency(self, older: int, low: int, high: int, *, whole: bool) -> Iterator[bytes]:
        if older == high:
            if not whole:
                yield self.over(low, high)
            return
        middle = low + split(high - low)
        if older <= middle:
            yield from self._consistency(older, low, middle, whole=whole)
            yield self.over(middle, high)
        else:
            yield from self._consistency(older, middle, high, whole=False)
            yield self.over(low, middle)

    def _complete(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree."""
        base = level // STEP * STEP
        height = level - base
        tile, within = divmod(index << height, 1 << STEP)
        rows = self._tile(base, tile)
        try:
            return rows[height][within >> height]
        except IndexError:
            raise TreeIsIncomplete(f"level {level}, {index}") from None

    def _tile(self, level: int, tile: int) -> list[list[bytes]]:
        """All the complete subtrees above up to 256 hashes, by height."""
        if (level, tile) not in self._tiles:
            self._read(level, {tile})
        return self._tiles[level, tile]

    def _read(self, level: int, tiles: Collection[int]) -> None:
        fetched = self._fetch(level, tiles)
        for tile in tiles:
            within = max((self.size >> level) - (tile << STEP), 0)
            rows = [fetched.get(tile, [])[:within]]
            while len(rows[-1]) > 1:
                below = rows[-1]
                rows.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
            self._tiles[level, tile] = rows


class Growing:
    """A tree to which leaves are added one by one, of which only the right edge is kept."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf. Returns what is complete now and is kept: (level, index, hash)."""
        self._edge.append((0, leaf))
        self.size += 1
        kept = []
        while len(self._edge) > 1 and self._edge[-1][0] == self._edge[-2][0]:
            (level, left), (_, right) = self._edge[-2:]
            self._edge[-2:] = [(level + 1, node_hash(left, right))]
            if (level + 1) % STEP == 0:
                kept.append((level + 1, (self.size >> (level + 1)) - 1, self._edge[-1][1]))
        return kept

    def root(self) -> bytes:
        """The hash over all that was added."""
        if not self._edge:
            return EMPTY
        (_, found), *rest = reversed(self._edge)
        for _, left in rest:
            found = node_hash(left, found)
        return found
