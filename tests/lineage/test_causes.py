"""Ten single causes planted over REST, each named first and alone; what follows from another is told with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from assay.tracking.frames import digest_frame
from assay.tracking.hashing import DigestCache, hash_file
from lineage.differences.code import compare_link
from registry.actions.evaluations import Measured, MeasuredOn, record_evaluation
from registry.actions.uploads import create_upload
from registry.artifacts.manifests import Entry
from registry.models import ModelVersion
from tests.cast import Cast
from tests.lineage.scenes import CODE, CONFIG, EMPTY_FILE, ENVIRONMENT, a_version, digest_of
from tests.lineage.test_why import why

MACHINE = {
    "cpu": "EPYC 9654",
    "cpus": 8,
    "memory": 64 * 1024**3,
    "gpus": [{"name": "A100", "memory": "40960 MiB", "driver": "550.54"}],
}
SEEDED = {**ENVIRONMENT, "os": "Debian GNU/Linux 12 (Linux 6.1.0 x86_64)", "hardware": MACHINE}
SCHEMA = {"age": "int64", "zip": "int64"}
TRAIN = {"name": "train.csv", "digest": digest_of("train"), "role": "input", "context": "training", "rows": 12_000,
         "columns": 2, "schema": SCHEMA}  # fmt: skip
HELD = {**TRAIN, "name": "held.csv", "digest": digest_of("held"), "context": "test"}
Made = tuple[dict[str, Any], dict[str, str], list[dict[str, Any]]]


def made(cast: Cast, *, base: list[str] | None = None, **changes: Any) -> ModelVersion:
    """A version whose run was started, told of and ended over REST; `changes` are those to what it is made of."""
    client, room = cast.client("ben"), cast.namespace
    parameters = changes.pop("parameters", {"lr": "0.1", "seed": "1", "test_size": "0.2"})
    uses = changes.pop("uses", [TRAIN, HELD])
    capture = changes.pop("capture", {"state": "complete", "notes": []})
    facts = {"entry_point": "train.py", "command": ["python", "train.py"], "code": CODE, "environment": SEEDED,
             "config": CONFIG, **changes}  # fmt: skip
    run = client.post(f"/api/v1/namespaces/{room.name}/runs", facts).json()["id"]
    assert client.post(f"/api/v1/runs/{run}/log", {"parameters": parameters}).status_code == 200
    assert client.post(f"/api/v1/runs/{run}/datasets", {"datasets": uses}).status_code == 200
    ended = client.patch(f"/api/v1/runs/{run}", {"status": "finished", "capture": capture})
    assert ended.status_code == 200, ended.json()
    upload = create_upload(
        namespace=room, files=[Entry("model.txt", 0, EMPTY_FILE)], by=cast.principal("ben")
    )
    answer = client.post(
        f"/api/v1/namespaces/{room.name}/models/scorer/versions",
        {"upload": str(upload.pk), "run": run, "base": base or []},
    )
    assert answer.status_code == 202, answer.json()
    return ModelVersion.objects.select_related("model__namespace").get(pk=answer.json()["id"])


def environment(**changes: Any) -> dict[str, Any]:
    return {"environment": {**SEEDED, **changes}}


def hardware(**changes: Any) -> dict[str, Any]:
    return environment(hardware={**MACHINE, **changes})


NO_PYTHON = {"numpy": "2.3.0", "scikit-learn": "1.7.1", "joblib": "1.5"}
TEN: list[tuple[str, dict[str, Any], str]] = [
    ("data", {"uses": [{**TRAIN, "digest": digest_of("other")}, HELD]},
     "Only the training data differs: the dataset train.csv changed: "),
    ("split", {"uses": [TRAIN, {**HELD, "context": "training"}]},
     "Only the split of the data differs: the use of the dataset held.csv changed: for test in "),
    ("split", {"parameters": {"lr": "0.1", "seed": "1", "test_size": "0.3"}},
     "Only the split of the data differs: the parameter test_size changed: 0.2 in "),
    ("code", {"code": {**CODE, "commit": "2" * 40}},
     "Only the code differs: the code changed: commit 1111111111 in "),
    ("parameters", {"parameters": {"lr": "0.2", "seed": "1", "test_size": "0.2"}},
     "Only the parameters differ: the parameter lr changed: 0.1 in "),
    ("config", {"config": {**CONFIG, "digest": "sha256:" + "e" * 64, "values": {"depth": "4"}}},
     "Only the configuration differs: the configuration conf.yaml changed: depth = 3 in "),
    ("seed", {"parameters": {"lr": "0.1", "seed": "2", "test_size": "0.2"}},
     "Only the seed differs: the parameter seed changed: 1 in "),
    ("seed", environment(seeds={"numpy.random.seed": "2"}),
     "Only the seed differs: the seed of numpy.random.seed changed: 1 in "),
    ("seed", {"capture": {"state": "complete", "notes": [], "seeds": {"torch": "3"}}},
     "Only the seed differs: the seed of torch is 3 in "),
    ("environment", environment(packages={"numpy": "2.3.0", "scikit-learn": "1.7.1"}),
     "Only the environment differs: the package numpy changed: 2.2.0 in "),
    ("image", environment(image_digest="sha256:" + "0" * 64),
     "Only the container image differs: the container image changed: sha256:ffffffff… in "),
    ("hardware", hardware(gpus=[{"name": "A100", "memory": "40960 MiB", "driver": "560.28"}]),
     "Only the hardware differs: the GPUs changed: A100 (driver 550.54) in "),
    ("hardware", hardware(cpu="Xeon 8480", memory=32 * 1024**3), "the memory changed: 64.0 GiB in "),
]  # fmt: skip


def test_each_single_cause_is_named_first_and_alone(cast: Cast) -> None:
    a = made(cast)
    for kind, changes, told in TEN:
        found = why(cast, a, made(cast, **changes))
        assert (found["cause"], {each["kind"] for each in found["differences"]}) == (kind, {kind}), told
        assert found["sentence"].startswith("Only "), told
        assert told in found["sentence"]
        assert found["reservations"] == [], told


def test_another_base_model_is_named_with_its_digest(cast: Cast) -> None:
    one, two = a_version(cast, name="base"), a_version(cast, name="base")
    for number, version in enumerate((one, two)):
        version.manifest.__class__.objects.filter(pk=version.manifest_id).update(digest=f"{number}" * 64)
    a, b = made(cast, base=[one.reference]), made(cast, base=[two.reference])
    found = why(cast, a, b)
    assert found["cause"] == "base"
    assert f"{one.reference} (sha256:00000000…) in {a.reference}" in found["sentence"]


def test_equal_versions_have_no_cause(cast: Cast) -> None:
    found = why(cast, made(cast), made(cast))
    assert (found["cause"], found["differences"]) == (None, [])
    assert found["sentence"] == "Nothing recorded explains this."


def test_of_two_causes_none_is_claimed(cast: Cast) -> None:
    both = {**environment(packages={"numpy": "2.3.0", "scikit-learn": "1.7.1"}),
            "uses": [{**TRAIN, "digest": digest_of("other")}, HELD]}  # fmt: skip
    found = why(cast, made(cast), made(cast, **both))
    assert found["cause"] is None
    assert found["sentence"] == (
        "Several things differ, and any may be the cause: the training data and the environment."
    )


# ---- one change that shows in several places is one cause

AT_ONCE: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("an image brings its packages, interpreter and system",
     environment(image_digest="sha256:" + "0" * 64, packages=NO_PYTHON, python="CPython 3.12.1",
                 os="Ubuntu 24.04 (Linux 6.1.0 x86_64)"),
     "image", ["the package numpy", "the package joblib", "the interpreter", "the operating system"]),
    ("a lock file and what it locks",
     environment(packages=NO_PYTHON, lock_file={"path": "uv.lock", "digest": "sha256:" + "9" * 64}),
     "environment", []),
    ("a setting that is used as a seed",
     {"parameters": {"lr": "0.1", "seed": "1", "test_size": "0.2", "start": "2"},
      **environment(seeds={"numpy.random.seed": "2"})}, "", []),
    ("a seed in the configuration, logged, and given to a generator",
     {"config": {**CONFIG, "digest": "sha256:" + "e" * 64, "values": {"depth": "3", "seed": "2"}},
      "parameters": {"lr": "0.1", "seed": "2", "test_size": "0.2"},
      **environment(seeds={"numpy.random.seed": "2"})}, "seed", []),
    ("a machine with another kernel",
     environment(hardware={**MACHINE, "cpus": 4}, os="Debian GNU/Linux 12 (Linux 6.6.1 x86_64)"), "hardware", []),
    ("a parameter that names the file",
     {"uses": [{**TRAIN, "name": "new.csv", "digest": digest_of("other")}, HELD],
      "parameters": {"lr": "0.1", "seed": "1", "test_size": "0.2", "data": "data/new.csv"}}, "data", []),
]  # fmt: skip


def test_what_follows_is_told_with_its_cause(cast: Cast) -> None:
    a = made(cast)
    for case, changes, kind, following in AT_ONCE:
        found = why(cast, a, made(cast, **changes))
        assert found["cause"] == (kind or None), case
        assert [each["what"] for each in found["differences"] if each["follows"]] == following, case
        if following:
            assert f". With it changed: {following[0]}; " in found["sentence"], case


def test_a_seed_that_is_a_setting_follows_it(cast: Cast) -> None:
    """Its name does not say so, its values do."""
    a = made(cast, parameters={"start": "1"})
    b = made(cast, parameters={"start": "2"}, **environment(seeds={"numpy.random.seed": "2"}))
    found = why(cast, a, b)
    assert (found["cause"], [each["follows"] for each in found["differences"]]) == (
        "parameters",
        ["", "parameters"],
    )


def test_a_commit_of_nothing_but_the_configuration_follows_it(cast: Cast) -> None:
    rest = {"rest_digest": "sha256:" + "7" * 64}
    config = {**CONFIG, "digest": "sha256:" + "e" * 64, "values": {"depth": "4"}}
    a = made(cast, code={**CODE, **rest})
    b = made(cast, code={**CODE, **rest, "commit": "2" * 40}, config=config)
    found = why(cast, a, b)
    assert (found["cause"], [each["kind"] for each in found["differences"]]) == ("config", ["config", "code"])
    # With other code in it, or changes in no commit, it is a cause of its own.
    for other in ({"rest_digest": "sha256:" + "8" * 64}, {**rest, "dirty": True}):
        c = made(cast, code={**CODE, "commit": "2" * 40, **other}, config=config)
        assert why(cast, a, c)["cause"] is None
    same = made(cast, code={**CODE, **rest, "commit": "3" * 40})
    assert why(cast, a, same)["differences"] == []


def test_files_that_changed_places_are_a_difference_though_the_data_is_the_same(cast: Cast) -> None:
    uses = [{**TRAIN, "name": "x.csv"}, {**HELD, "name": "y.csv", "context": "training"}]
    a = made(cast, uses=uses, command=["python", "train.py", "--train=x.csv", "--test=y.csv"])
    b = made(cast, uses=uses, command=["python", "train.py", "--train=y.csv", "--test=x.csv"])
    found = why(cast, a, b)
    assert (found["cause"], found["differences"][0]["what"]) == ("parameters", "the command")


def test_who_recorded_no_seeds_is_a_gap(cast: Cast) -> None:
    silent = {key: value for key, value in SEEDED.items() if key != "seeds"}
    assert why(cast, made(cast), made(cast, environment=silent))["differences"] == []


# ---- what is said of data, code and metrics


SCHEMAS: list[tuple[Any, str]] = [
    ({"age": "int64", "zip": "string"}, "; columns retyped zip from int64 to string"),
    ({"age": "int64"}, "; columns removed zip"),
    ({**SCHEMA, "income": "double"}, "; columns added income"),
    ([{"name": "age", "type": "int64"}, {"name": "zip", "type": "int64"}],
     "; as many rows of the same columns, so values or their order changed"),
    (None, ""),
]  # fmt: skip


def test_what_changed_in_the_columns(cast: Cast) -> None:
    a = made(cast)
    for number, (schema, told) in enumerate(SCHEMAS):
        b = made(cast, uses=[{**TRAIN, "digest": digest_of(f"other {number}"), "schema": schema}, HELD])
        (found,) = why(cast, a, b)["differences"]
        assert found["sentence"].endswith(f"(12,000 rows, 2 columns) in {b.reference}{told}")


def test_digests_of_two_kinds_do_not_say_that_the_content_differs(cast: Cast) -> None:
    b = made(cast, uses=[{**TRAIN, "digest": "frame-v1:" + "0" * 64}, HELD])
    assert "so the content may be the same" in why(cast, made(cast), b)["sentence"]


def test_the_commits_are_a_range_and_a_page(cast: Cast) -> None:
    """Of one repository, whichever way it is fetched; of two there is neither."""
    a = made(cast, code={**CODE, "remote": "git@gitlab.example.com:risk/scorer.git"})
    b = made(cast, code={**CODE, "commit": "2" * 40, "remote": "https://gitlab.example.com/risk/scorer"})
    (found,) = why(cast, a, b)["differences"]
    assert found["more"] == "1111111..2222222"
    assert found["link"] == f"https://gitlab.example.com/risk/scorer/-/compare/{'1' * 12}...{'2' * 12}"
    c = made(cast, code={**CODE, "commit": "2" * 40, "remote": "https://gitlab.example.com/other/scorer"})
    (found,) = why(cast, a, c)["differences"]
    assert (found["link"], "two repositories" in found["sentence"]) == ("", True)


@pytest.mark.parametrize(
    ("remote", "begins"),
    [
        ("https://github.com/org/repo.git", "https://github.com/org/repo/compare/"),
        ("ssh://git@gitlab.com:2222/group/sub/repo.git", "https://gitlab.com/group/sub/repo/-/compare/"),
        ("git@bitbucket.org:team/repo", "https://bitbucket.org/team/repo/branches/compare/"),
        ("https://git.example.com/org/repo.git", ""),
        ("https://github.com.evil.example/org/repo", ""),
        ("/srv/git/github.com/repo.git", ""),
        ("https://github.com/org/../../repo", ""),
        ("https://github.com/org/repo?x=javascript:1", ""),
        ("", ""),
    ],
)
def test_pages_of_known_forges_only(remote: str, begins: str) -> None:
    link = compare_link(remote, "1" * 40, "2" * 40)
    assert link.startswith(begins) if begins else link == ""
    assert compare_link(remote, "1" * 40, "<b>") == ""


def measure(cast: Cast, version: ModelVersion, value: float, spread: float | None) -> None:
    low, high = (None, None) if spread is None else (value - spread, value + spread)
    record_evaluation(
        version=version, on=MeasuredOn(dataset="held.csv", digest=digest_of("held"), split="test"),
        metrics=[Measured(name="auc", value=value, low=low, high=high)], by=cast.principal("ci"),
    )  # fmt: skip


def test_the_interval_of_a_difference(cast: Cast) -> None:
    a, b = made(cast), made(cast)
    measure(cast, a, 0.75, 0.03)
    measure(cast, b, 0.80, 0.04)
    found = why(cast, a, b)
    (metric,) = found["metrics"]
    # 0.05 and the hypotenuse of 0.03 and 0.04
    assert (metric["low"], metric["high"]) == (pytest.approx(0.0), pytest.approx(0.10))
    measure(cast, b, 0.77, 0.04)
    assert "no metric differs by more than the intervals given for it allow" in why(cast, a, b)["sentence"]
    measure(cast, b, 0.95, 0.04)
    assert why(cast, a, b)["sentence"] == "Nothing recorded explains this."
    measure(cast, b, 0.77, None)
    (metric,) = why(cast, a, b)["metrics"]
    assert (metric["low"], metric["high"]) == (None, None)


# ---- one row, far down

ROWS = 12_000
FAR = 10_500


def table(changed: bool) -> pd.DataFrame:
    frame = pd.DataFrame({"age": range(ROWS), "zip": [n % 90 for n in range(ROWS)]})
    if changed:
        frame.loc[FAR, "zip"] = 91
    return frame


def as_file(folder: Path, frame: pd.DataFrame) -> str:
    path = folder / "train.csv"
    frame.to_csv(path, index=False)
    return hash_file(str(path), DigestCache(folder / "cache.sqlite")).digest


def as_frame(folder: Path, frame: pd.DataFrame) -> str:
    return digest_frame(frame).digest


@pytest.mark.parametrize("digest", [as_file, as_frame])
def test_one_row_beyond_the_ten_thousandth(
    cast: Cast, tmp_path: Path, digest: Callable[[Path, pd.DataFrame], str]
) -> None:
    """The digests are the client's own, of a file that pandas wrote and of the table in memory."""
    digests = [digest(tmp_path, table(changed)) for changed in (False, True)]
    assert digests[0] != digests[1]
    assert digest(tmp_path, table(changed=False)) == digests[0]
    a, b = (made(cast, uses=[{**TRAIN, "digest": each}, HELD]) for each in digests)
    found = why(cast, a, b)
    assert (found["cause"], [each["what"] for each in found["differences"]]) == (
        "data",
        ["the dataset train.csv"],
    )
    assert "as many rows of the same columns, so values or their order changed" in found["sentence"]
