"""The seeds of a run: before it, during it, in its other processes; nothing imported, everything put back."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from assay.tracking import seeds
from client.tests.tracking.conftest import Project
from client.tests.tracking.test_program import train

SEEDED = """
import random
with assay.run(namespace="fraud", client=recorder) as run:
    assert "numpy" not in sys.modules
    random.seed(7)
    import numpy as np
    np.random.seed(8)
    np.random.default_rng(seed=9)
    for n in range(20):
        np.random.default_rng([n, 1])
    np.random.default_rng(np.random.default_rng(None))
    values = random.random(), np.random.random()
    random.seed()
random.seed(7); np.random.seed(8)
assert values == (random.random(), np.random.random()), "the generators were seeded as without us"
assert not hasattr(random.seed, "__assay_seed__") and not hasattr(np.random.seed, "__assay_seed__")
"""

HELD = """
from random import seed
import numpy.random
from numpy.random import seed as other
with assay.run(namespace="fraud", client=recorder):
    seed("text")
    other(3)
    numpy.random.seed(4)
"""

# Not the package, only the two names of it.
TORCH = """
import sys, types
torch = types.ModuleType("torch")
def manual_seed(seed):
    return ("generator", seed)
torch.manual_seed = manual_seed
sys.modules["torch"] = torch
with assay.run(namespace="fraud", client=recorder):
    assert torch.manual_seed(5) == ("generator", 5)
assert torch.manual_seed is manual_seed
"""

BEFORE = """
@assay.track(model="fraud/card", register=False, client=recorder)
def fit(depth, model={"random_state": 3}, seed=1, reseed=2):
    pass
fit(4)
"""


@pytest.fixture(autouse=True)
def _unhashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)


def seeds_of(told: Any) -> dict[str, str]:
    """Those told at the start, and those told at the end."""
    return {
        **told.call("create_run")["environment"]["seeds"],
        **told.call("update_run")["capture"].get("seeds", {}),
    }


def test_what_generators_are_given_is_seen(project: Project) -> None:
    assert seeds_of(project.train(SEEDED)) == {
        "random": "7",
        "numpy.random": "8",
        "numpy.random.default_rng": "9, [0, 1], [1, 1], [2, 1], [3, 1], …",
    }


def test_names_that_were_taken_before_are_seen_too(project: Project) -> None:
    assert seeds_of(project.train(HELD)) == {"random": "text", "numpy.random": "3, 4"}


def test_torch_is_seen_where_it_is_there(project: Project) -> None:
    assert seeds_of(project.train(TORCH)) == {"torch": "5"}


def test_parameters_and_the_hash_seed_are_known_before(project: Project) -> None:
    project.environment["PYTHONHASHSEED"] = "11"
    assert seeds_of(project.train(BEFORE)) == {"PYTHONHASHSEED": "11", "model.random_state": "3", "seed": "1"}


def test_without_seeds_none_is_told_and_that_is_said(project: Project) -> None:
    told = project.train("with assay.run(namespace='fraud', client=recorder): pass")
    assert told.call("create_run")["environment"]["seeds"] == {}
    assert "seeds" not in told.call("update_run")["capture"]


def test_an_unchanged_script_and_its_workers_are_seen(project: Project) -> None:
    body = (
        "import random, multiprocessing as m\ndef work(n):\n    random.seed(n)\n"
        "if __name__ == '__main__':\n    import numpy\n    numpy.random.seed(2)\n"
        "    p = m.get_context('spawn').Process(target=work, args=(5,)); p.start(); p.join()\n"
    )
    assert seeds_of(train(project, body, "--seed", "1")) == {"seed": "1", "numpy.random": "2", "random": "5"}


@pytest.mark.parametrize(
    ("name", "is_seed"),
    [("seed", True), ("random_state", True), ("model.seed", True), ("data-seed", True), ("seeds", False),
     ("seedling", False), ("reseed", False), ("SEED", True), ("state", False)],
)  # fmt: skip
def test_which_parameters_are_seeds(name: str, is_seed: bool) -> None:
    assert (name in seeds.known({name: "1"})) is is_seed
    assert seeds.known({name: "None"}) == {}


def test_wrapping_nests_and_is_undone() -> None:
    finders = list(sys.meta_path)
    seeds.wrap()
    seeds.wrap()
    seeds.unwrap()
    assert sys.meta_path != finders
    seeds.unwrap()
    assert sys.meta_path == finders
