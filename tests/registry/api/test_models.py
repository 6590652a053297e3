"""Models and versions over REST."""

from __future__ import annotations

from registry.models import Event
from tests.cast import Cast
from tests.factories import ready_version


def at(cast: Cast, rest: str = "") -> str:
    return f"/api/v1/namespaces/{cast.namespace.name}/models{rest}"


def test_it_works(cast: Cast) -> None:
    ben = cast.client("ben")
    made = ben.post(at(cast), {"name": "scorer", "task": "fraud", "tags": {"team": "risk"}})
    assert made.status_code == 201, made.content
    assert made.json()["reference"] == f"{cast.namespace.name}/scorer"
    assert ben.get(at(cast, "/scorer")).json() == made.json()
    assert [m["name"] for m in ben.get(at(cast)).json()["results"]] == ["scorer"]
    event = Event.objects.get(namespace=cast.namespace, type="model.created")
    assert (event.actor, event.after["name"]) == (cast.user("ben"), "scorer")  # type: ignore[index]


def test_a_name_is_taken_once(cast: Cast) -> None:
    ben = cast.client("ben")
    ben.post(at(cast), {"name": "scorer"})
    again = ben.post(at(cast), {"name": "scorer"})
    assert (again.status_code, again.json()["code"], again.json()["field"]) == (409, "name-taken", "name")


def test_put_makes_it_or_answers_the_one_there(cast: Cast) -> None:
    ben = cast.client("ben")
    made = ben.put(at(cast, "/scorer"), {"task": "fraud"})
    again = ben.put(at(cast, "/scorer"), {"task": "other"})
    assert (made.status_code, again.status_code) == (201, 200)
    assert again.json()["task"] == "fraud"
    assert Event.objects.filter(namespace=cast.namespace, type="model.created").count() == 1
    assert ben.put(at(cast, "/Not%20a%20name"), {}).status_code == 422


def test_a_patch_merges_tags_and_removes_nulls(cast: Cast) -> None:
    ben = cast.client("ben")
    ben.post(at(cast), {"name": "scorer", "tags": {"team": "risk", "old": "x"}})
    changed = ben.patch(at(cast, "/scorer"), {"description": "new", "tags": {"old": None, "tier": "1"}})
    assert changed.status_code == 200
    assert changed.json()["tags"] == {"team": "risk", "tier": "1"}
    event = Event.objects.get(namespace=cast.namespace, type="model.edited")
    assert event.before == {"description": "", "tags": {"team": "risk", "old": "x"}}
    ben.patch(at(cast, "/scorer"), {"description": "new"})
    assert Event.objects.filter(namespace=cast.namespace, type="model.edited").count() == 1


def test_a_misspelt_field_is_refused(cast: Cast) -> None:
    answer = cast.client("ben").post(at(cast), {"name": "scorer", "descripton": "x"})
    assert (answer.status_code, answer.json()["field"]) == (422, "descripton")
    assert "description" in answer.json()["detail"]


def test_pages_follow_on(cast: Cast) -> None:
    ben = cast.client("ben")
    for name in "dbaec":
        ben.post(at(cast), {"name": name})
    seen, url = [], at(cast, "?limit=2")
    while url:
        answer = ben.get(url).json()
        assert len(answer["results"]) <= 2
        seen += [m["name"] for m in answer["results"]]
        url = answer["next"]
    assert seen == list("abcde")


def test_a_version_is_edited_but_never_what_it_is(cast: Cast) -> None:
    version = ready_version(cast)
    url = at(cast, "/scorer/versions/1")
    changed = cast.client("ben").patch(url, {"description": "tuned", "tags": {"team": "risk"}})
    assert (changed.json()["description"], changed.json()["tags"]) == ("tuned", {"team": "risk"})
    assert cast.client("ben").patch(url, {"stage": "production"}).status_code == 422
    assert cast.client("ben").patch(url, {"parameters": {}}).status_code == 422
    event = Event.objects.get(subject_id=str(version.pk), type="version.edited")
    assert event.subject_label == version.reference


def test_resolve_answers_the_version(cast: Cast) -> None:
    ready_version(cast)
    ben = cast.client("ben")
    answer = ben.get("/api/v1/resolve", {"ref": f"{cast.namespace.name}/scorer:1"})
    assert answer.json()["number"] == 1
    assert ben.get("/api/v1/resolve").json()["field"] == "ref"
    assert ben.get("/api/v1/resolve", {"ref": "x"}).status_code == 422
    assert ben.get("/api/v1/resolve", {"ref": f"{cast.namespace.name}/scorer:2"}).status_code == 404
