"""Gates of packages: a real one on the path is used as ours are; broken ones neither pass nor break anything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle import gates
from lifecycle.actions.promotions import request_promotion
from lifecycle.gates import GATES
from lifecycle.gates.plugins import Found, plugged_in
from lifecycle.models import Promotion
from lifecycle.policies import checked_gates
from lifecycle.promotions import settle
from lifecycle.tasks.promotions import evaluate_gates
from registry.errors import InvalidInput
from tests.cast import Cast
from tests.factories import fresh, ready_version, results, simple_policy

OWN = frozenset(name for name, gate in GATES.items() if not hasattr(gate, "origin"))
GOOD = """\
from lifecycle.gates import Context, Finding, Gate, Parameter, Verdict


class NameShort(Gate):
    '''The model's name is no longer than the policy says.'''

    name = "name_short"
    parameters = (Parameter("letters", float, required=True, least=1, help="how many letters"),)

    prepared = []

    def claim(self, given):
        return f"the name has at most {given['letters']:g} letters"

    def prepare(self, context):
        self.prepared.append(context.version.reference)

    def evaluate(self, context: Context, given) -> Finding:
        name = context.version.model.name
        verdict = Verdict.PASS if len(name) <= given["letters"] else Verdict.FAIL
        return Finding(verdict, f"{name} has {len(name)} letters; {given['letters']:g} are allowed.", {"name": name})
"""
BAD = """\
import sys
from django.db import connection
from lifecycle.gates import Finding, Gate, Verdict


class Bad(Gate):
    name = "bad"

    def claim(self, given):
        raise ZeroDivisionError

    def prepare(self, context):
        raise ZeroDivisionError

    def evaluate(self, context, given):
        {body}
"""
SAYS = "return Finding({verdict!r}, {sentence!r}, {evidence})"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a package on the path, as an installer leaves it: its module beside its metadata."""
    monkeypatch.syspath_prepend(tmp_path)

    def installed(module: str, source: str, *points: str, version: str = "1.2") -> Path:
        (tmp_path / f"{module}.py").write_text(source)
        about = tmp_path / f"{module}-{version}.dist-info"
        about.mkdir()
        name = module.replace("_", "-")
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (about / "entry_points.txt").write_text("[assay.gates]\n" + "\n".join(points) + "\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        return tmp_path

    return installed


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Found]:
    """What a server that starts now would find; used until the test ends."""

    def load() -> Found:
        found = plugged_in(OWN)
        for name, gate in found.gates.items():
            monkeypatch.setitem(GATES, name, gate)
        for name, why in found.broken.items():
            monkeypatch.setitem(gates.BROKEN, name, why)
        return found

    return load


def asked(cast: Cast, gate: str, **given: Any) -> Promotion:
    """A promotion to staging under a policy of this gate."""
    simple_policy(cast, "staging", [{"gate": gate, "parameters": given}], approvals=0)
    promotion = request_promotion(version=ready_version(cast), target="staging", by=cast.principal("eve"))
    return settle(promotion_id=promotion.pk)


@pytest.mark.parametrize(("letters", "state"), [(6, "applied"), (5, "gates_failed")])
def test_a_gate_of_a_package_is_a_gate(
    cast: Cast, install: Callable[..., Path], loaded: Callable[[], Found], letters: int, state: str
) -> None:
    install("their_gates", GOOD, "name_short = their_gates:NameShort")
    assert (list(loaded().gates), loaded().broken) == (["name_short"], {})

    promotion = asked(cast, "name_short", letters=letters)

    assert promotion.state == state
    told = cast.client("vera").get(f"/api/v1/promotions/{promotion.pk}").json()["gates"]
    (shown,) = [gate for gate in told if gate["gate"] == "name_short"]
    assert shown["claim"] == f"the name has at most {letters} letters"
    assert shown["sentence"] == f"scorer has 6 letters; {letters} are allowed."
    assert shown["evidence"] == {"name": "scorer"}
    with pytest.raises(InvalidInput) as refused:
        asked(cast, "name_short", letters=0)
    assert refused.value.field == "gates[0].parameters.letters"


def test_it_prepares_itself_before_it_is_asked(
    cast: Cast, install: Callable[..., Path], loaded: Callable[[], Found]
) -> None:
    install("their_gates", GOOD, "name_short = their_gates:NameShort")
    loaded()
    simple_policy(cast, "staging", [{"gate": "name_short", "parameters": {"letters": 6}}], approvals=0)
    version = ready_version(cast)
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))

    evaluate_gates(promotion_id=str(promotion.pk))

    assert sys.modules["their_gates"].NameShort.prepared == [version.reference]
    assert fresh(version).stage == "staging"


def test_a_server_that_starts_with_it_has_it(install: Callable[..., Path]) -> None:
    """In a process of its own, with a second package whose module cannot even be imported."""
    folder = install("their_gates", GOOD, "name_short = their_gates:NameShort")
    install(
        "worse_gates",
        "import sys; sys.exit(3)",
        "worse = worse_gates:Worse",
        "scan_clean = worse_gates:Worse",
    )
    code = (
        "import django; django.setup()\n"
        "from lifecycle.gates import BROKEN, GATES\n"
        "from lifecycle.gates.contents import ScanClean\n"
        "print(type(GATES['scan_clean']) is ScanClean, 'name_short' in GATES, sorted(BROKEN), BROKEN['worse'])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": f"{folder}:.:client/src", "DJANGO_SETTINGS_MODULE": "config.settings",
             "ASSAY_SETTINGS": "build"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout == (
        "True True ['worse'] The gate worse of worse-gates 1.2 cannot be used: it cannot be loaded (SystemExit).\n"
    ), done.stderr


BODIES = [
    ("raise ZeroDivisionError", "ZeroDivisionError"),
    ("sys.exit(0)", "RuntimeError"),
    ("raise RecursionError", "RecursionError"),
    ("return True", "TypeError"),
    ("return None", "TypeError"),
    (SAYS.format(verdict="waived", sentence="fine", evidence={}), "TypeError"),
    (SAYS.format(verdict="PASS", sentence="fine", evidence={}), "TypeError"),
    (SAYS.format(verdict="pass", sentence=" ", evidence={}), "ValueError"),
    (SAYS.format(verdict="pass", sentence="fine", evidence="{'at': object()}"), "TypeError"),
    (SAYS.format(verdict="pass", sentence="fine", evidence="{'x': float('nan')}"), "ValueError"),
    ("connection.cursor().execute('SELECT 1 FROM nowhere')", "ProgrammingError"),
    ("connection.cursor().execute('DELETE FROM lifecycle_promotion')", "IntegrityError"),
]


def test_a_broken_gate_is_an_error_and_the_others_are_judged(
    cast: Cast, install: Callable[..., Path], loaded: Callable[[], Found]
) -> None:
    """Each way of being broken as a gate of its own, all in one policy."""
    for number, (body, _) in enumerate(BODIES):
        source = BAD.format(body=body).replace('"bad"', f'"bad_{number}"')
        install(f"bad_gates_{number}", source, f"bad_{number} = bad_gates_{number}:Bad")
    assert len(loaded().gates) == len(BODIES)
    listed = [{"gate": f"bad_{number}", "parameters": {}} for number in range(len(BODIES))]
    simple_policy(cast, "staging", listed, approvals=0)
    asking = request_promotion(version=ready_version(cast), target="staging", by=cast.principal("eve"))

    promotion = settle(promotion_id=asking.pk)

    assert promotion.state == "gates_failed"
    found = results(promotion)
    for number, (body, said) in enumerate(BODIES):
        verdict, sentence = found[f"bad_{number}"]
        assert (verdict, said in sentence) == ("error", True), (body, sentence)
        GATES[f"bad_{number}"].prepare(None)  # type: ignore[arg-type]
    assert found["integrity_verified"][0] == "pass"
    told = cast.client("vera").get(f"/api/v1/promotions/{promotion.pk}").json()["gates"]
    assert [gate["claim"] for gate in told if gate["gate"] == "bad_0"] == ["bad_0"]


@pytest.mark.parametrize(
    ("source", "points", "why"),
    [
        ("x = 1 / 0", ["bad = bad_gates:Bad"], "it cannot be loaded (ZeroDivisionError)"),
        (
            "class Bad:\n    name = 'bad'",
            ["bad = bad_gates:Bad"],
            "it is no subclass of lifecycle.gates.Gate",
        ),
        (BAD.format(body="pass"), ["good = bad_gates:Bad"], "its name is not that of its entry point"),
        (BAD.format(body="pass"), ["bad = bad_gates:Nothing"], "it cannot be loaded (AttributeError)"),
    ],
)
def test_what_is_no_gate_is_named(
    install: Callable[..., Path],
    loaded: Callable[[], Found],
    source: str,
    points: list[str],
    why: str,
) -> None:
    install("bad_gates", source, *points)
    name = points[0].partition(" ")[0]
    assert why in loaded().broken[name]
    with pytest.raises(InvalidInput, match="cannot be used: ") as refused:
        checked_gates([{"gate": name, "parameters": {}}])
    assert refused.value.field == "gates[0].gate"


def test_no_package_takes_a_name_of_ours_or_of_another(
    install: Callable[..., Path], loaded: Callable[[], Found]
) -> None:
    ours = GOOD.replace("name_short", "integrity_verified")
    install("thief", ours, "integrity_verified = thief:NameShort")
    install("first", GOOD, "name_short = first:NameShort")
    install("second", GOOD, "name_short = second:NameShort")
    found = loaded()
    assert found.gates == {}
    assert "two packages bring a gate of that name" in found.broken["name_short"]
    assert "integrity_verified" not in found.broken


def test_a_gate_that_is_gone_does_not_pass(
    cast: Cast, install: Callable[..., Path], loaded: Callable[[], Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("their_gates", GOOD, "name_short = their_gates:NameShort")
    loaded()
    simple_policy(cast, "staging", [{"gate": "name_short", "parameters": {"letters": 9}}], approvals=0)
    promotion = request_promotion(version=ready_version(cast), target="staging", by=cast.principal("eve"))
    monkeypatch.delitem(GATES, "name_short")
    assert settle(promotion_id=promotion.pk).state == "gates_failed"
    assert results(promotion)["name_short"] == (
        "error",
        "This installation has no gate 'name_short' any more. It does not pass.",
    )
