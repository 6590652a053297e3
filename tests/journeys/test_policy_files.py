"""Policies kept in a file: checked, applied, published by somebody else, exported, applied again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.errors import PolicyFileInvalid
from assay.policy_files import read_policies
from tests.cast import Cast
from tests.factories import ready_version
from tests.journeys.conftest import Run

pytestmark = pytest.mark.django_db(transaction=True)

FILE = """\
namespace: {namespace}
policies:
  - target: staging
    gates:
      - evaluated_on
      - metric_at_least: {{metric: accuracy, bound: 0.8}}
  - target: production
    risk_tier: high
    approvals: 2
    gates:
      - evaluated_on: {{split: test}}
      - gate: no_regression
        parameters:
          metric: accuracy
"""


def test_a_file_in_git(cast: Cast, run: Run, tmp_path: Path) -> None:
    home = cast.namespace.name
    file = tmp_path / "policies.yaml"
    file.write_text(FILE.format(namespace=home))

    tried = run("vera", 0, "policy", "apply", "-f", str(file), "--dry-run").stdout
    assert tried.count("would change") == 2
    assert run("vera", 1, "policy", "apply", "-f", str(file)).stderr.startswith("Refused: ")
    applied = run("ada", 0, "policy", "apply", "-f", str(file), "-r", "As in Git.").stdout
    assert f"{home} staging: published" in applied
    assert f"{home}, tier high production: draft" in applied
    assert "Somebody else puts it in force:" in applied
    draft = applied.split("assay policy publish ")[1].split()[0]
    assert "You drafted this production policy" in run("ada", 1, "policy", "publish", draft).stderr
    assert "revision 1  published" in run("cora", 0, "policy", "publish", draft, "-r", "Agreed.").stdout
    again = json.loads(run("ada", 0, "policy", "apply", "-f", str(file), "--json").stdout)
    assert [each["result"] for each in again] == ["unchanged", "unchanged"]

    listed = run("vera", 0, "policy", "list", home).stdout
    assert (listed.count("published"), listed.count("draft")) == (3, 0)
    shown = run("vera", 0, "policy", "show", home, "--tier", "high").stdout
    assert "accuracy on test, beside production's on the same data" in " ".join(shown.split())
    ready_version(cast)
    counts = run("vera", 0, "policy", "show", f"{home}/scorer", "--target", "staging").stdout
    assert "accuracy on test is at least 0.8" in counts

    run("vera", 0, "policy", "export", home, "-o", str(file))
    assert len(read_policies(file)) == 3
    exported = json.loads(run("ada", 0, "policy", "apply", "-f", str(file), "--json").stdout)
    assert [each["result"] for each in exported] == ["unchanged"] * 3


def test_what_the_server_refuses_is_shown_in_the_file(cast: Cast, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policies.yaml"
    good = FILE.format(namespace=cast.namespace.name)
    for old, new, said in (
        ("bound: 0.8", "bound: high", "6:45: bound is a number."),
        ("{metric: accuracy, bound: 0.8}", "{metric: accuracy}", "6:9: metric_at_least needs bound"),
        ("- evaluated_on\n", "- evaluate_on\n", "5:9: There is no gate 'evaluate_on'"),
        ("approvals: 2", "approvals: many", "9:5: approvals is"),
    ):
        file.write_text(good.replace(old, new))
        refused = run("ada", 2, "policy", "apply", "-f", str(file))
        assert f"policies.yaml:{said}" in refused.stderr.replace("\n", ""), refused.stderr
    assert "draft" not in run("vera", 0, "policy", "list", cast.namespace.name, "--all").stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("[]", ":1:1: a file of policies holds"),
        ("policies: []", ":1:1: name the namespace here"),
        ("namespace: a\npolicies: [\n", ":3:1: "),
        ("namespace: a\npolicies:\n  - target: moon", ":3:5: target is staging or production"),
        ("namespace: a\npolicies:\n  - {target: staging, gate: []}", ":3:23: there is no 'gate' here"),
        ("namespace: a\npolicies:\n  - {target: staging, target: staging}", ":3:23: target is here twice"),
        (
            "namespace: a\npolicies:\n  - target: staging\n  - target: staging",
            ":4:5: a has a staging policy in this file already",
        ),
        ("namespace: a\npolicies:\n  - target: staging\n    gates: [[]]", ":4:13: a gate is its name"),
        ("namespace: a\npolicies:\n  - target: staging\n    gates: !!python/name:os.system x", ":4:12: "),
        ("namespace: a\npolicies:\n  - target: staging\n    model: 3", ":4:5: model is a text"),
        (
            "namespace: a\npolicies:\n  - {target: staging, approvals: 2026-01-01}",
            ':3:34: this is a date, and a text only in quotes: "2026-01-01"',
        ),
        ("namespace: a\npolicies:\n  - {target: staging, approvals: .nan}", ":3:34: this is no text and no"),
        (
            "namespace: a\npolicies:\n  - {target: staging, approvals: !!bool x}",
            ":3:34: this is no plain value",
        ),
        ("namespace: a\npolicies: &a [*a]", ":2:11: the file is too large for policies"),
        ("[" * 5000, "it is not YAML"),
        ("namespace: a\n? [b]\n: c\npolicies: []", ":2:3: a key is a word"),
        (
            (
                "namespace: a\nb: &b [x,x,x,x,x,x,x,x,x,x]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
                "policies: [*e,*e,*e,*e,*e,*e]"
            ),
            "too large for policies",
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_where_it_is(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "policies.yaml"
    file.write_text(text)
    with pytest.raises(PolicyFileInvalid) as refused:
        read_policies(file)
    assert said in refused.value.sentence


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(PolicyFileInvalid, match="No such file"):
        read_policies(tmp_path / "no.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolicyFileInvalid, match="not UTF-8"):
        read_policies(tmp_path / "b.yaml")
    file = tmp_path / "other.yaml"
    file.write_text("namespace: a\npolicies: []")
    assert read_policies(file, "a") == []
    with pytest.raises(PolicyFileInvalid, match="--namespace says b"):
        read_policies(file, "b")
