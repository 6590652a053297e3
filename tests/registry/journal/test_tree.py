"""The tree: what RFC 6962 says, however few of the hashes are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import pytest

from registry.journal.tree import STEP, Growing, Tree, TreeIsIncomplete, leaf_hash, node_hash, siblings

LEAVES = [leaf_hash(str(i).encode()) for i in range(1500)]


def plain(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(plain(leaves[:k]), plain(leaves[k:]))


def kept(size: int) -> dict[int, list[bytes]]:
    growing, levels = Growing(), {0: LEAVES[:size]}
    for leaf in LEAVES[:size]:
        for level, index, value in growing.add(leaf):
            assert len(levels.setdefault(level, [])) == index
            levels[level].append(value)
    assert growing.root() == plain(LEAVES[:size])
    return levels


def tree(size: int) -> Tree:
    levels = kept(size)
    return Tree(size, lambda level, tiles: {t: levels.get(level, [])[t * 256 : t * 256 + 256] for t in tiles})


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 1500])
def test_the_root_is_that_of_the_definition(size: int) -> None:
    assert tree(size).root() == plain(LEAVES[:size])


def test_the_vectors_of_certificate_transparency() -> None:
    """Roots of 1 to 8 leaves, from Google's certificate-transparency and transparency-dev/merkle."""
    inputs = [
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    ]  # fmt: skip
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    growing = Growing()
    for size, given in enumerate(inputs, start=1):
        growing.add(leaf_hash(bytes.fromhex(given)))
        assert growing.root().hex() == roots[size]


@pytest.mark.parametrize("size", [1, 2, 3, 300, 1024, 1500])
def test_the_siblings_lead_to_the_root(size: int) -> None:
    it = tree(size)
    for index in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
        found, low = LEAVES[index], index
        for first, last in reversed(list(siblings(index, size))):
            other = it.over(first, last)
            found = node_hash(other, found) if first < low else node_hash(found, other)
            low = min(low, first)
        assert found == it.root()


def test_little_is_read() -> None:
    levels, asked = kept(1500), []

    def fetch(level: int, tiles: Collection[int]) -> dict[int, list[bytes]]:
        asked.append((level, set(tiles)))
        return {tile: levels.get(level, [])[tile * 256 : tile * 256 + 256] for tile in tiles}

    Tree(1500, fetch).root()
    assert asked == [(STEP, {0}), (0, {5})]
    asked.clear()
    it = Tree(1500, fetch)
    it.read_ahead([3, 4, 700, 1499])
    for index in (3, 4, 700, 1499):
        for low, high in siblings(index, 1500):
            it.over(low, high)
    assert asked == [(0, {0, 2, 5}), (STEP, {0})]


def test_a_hash_that_is_not_there_is_said() -> None:
    with pytest.raises(TreeIsIncomplete):
        Tree(10, lambda level, tiles: {0: LEAVES[:3]}).root()
