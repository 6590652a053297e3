"""One's own tokens in the web."""

from __future__ import annotations

from django.test import Client

from registry.models import Event, ServiceToken
from tests.console.scene import Scene

PAGE = "/account/tokens"


def signed_in(scene: Scene, name: str) -> Client:
    client = Client()
    client.force_login(scene.people[name])
    return client


def make(client: Client, **given: str) -> str:
    """The secret of a new token, as the page shows it."""
    response = client.post(PAGE, {"name": "laptop", "namespace": "", "expires_in_days": "30", **given})
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    return str(response.context["secret"])


def test_a_new_token_is_shown_once_and_works(scene: Scene) -> None:
    client = signed_in(scene, "ben")
    secret = make(client)
    assert secret.startswith("assay_")
    assert secret not in client.get(PAGE).content.decode()
    whoami = Client().get("/api/v1/whoami", headers={"Authorization": f"Bearer {secret}"})
    assert whoami.json()["user"] == scene.people["ben"].username


def test_a_token_can_be_bound_to_a_namespace_one_sees(scene: Scene) -> None:
    make(signed_in(scene, "ben"), namespace=scene.namespace.name)
    assert ServiceToken.objects.get(user=scene.people["ben"]).namespace == scene.namespace


def test_a_namespace_one_does_not_see_cannot_be_named(scene: Scene) -> None:
    response = signed_in(scene, "mallory").post(
        PAGE, {"name": "x", "namespace": scene.namespace.name, "expires_in_days": "30"}
    )
    assert response.status_code == 422
    assert not ServiceToken.objects.filter(user=scene.people["mallory"]).exists()


def test_days_have_bounds(scene: Scene) -> None:
    client = signed_in(scene, "ben")
    for days in ("0", "367", "-1", "soon"):
        answer = client.post(PAGE, {"name": "x", "namespace": "", "expires_in_days": days})
        assert answer.status_code == 422, days
    assert not ServiceToken.objects.filter(user=scene.people["ben"]).exists()


def test_a_revoked_token_ends_at_once(scene: Scene) -> None:
    client = signed_in(scene, "ben")
    secret = make(client)
    token = ServiceToken.objects.get(user=scene.people["ben"])
    assert client.post(f"{PAGE}/{token.pk}/revoke").status_code == 302
    refused = Client().get("/api/v1/whoami", headers={"Authorization": f"Bearer {secret}"})
    assert refused.status_code == 401
    assert Event.objects.filter(type="token.revoked", subject_id=str(token.pk)).exists()


def test_others_tokens_are_not_there(scene: Scene) -> None:
    make(signed_in(scene, "ben"))
    token = ServiceToken.objects.get(user=scene.people["ben"])
    for name in ("eve", "ada", "mallory"):
        client = signed_in(scene, name)
        assert client.post(f"{PAGE}/{token.pk}/revoke").status_code == 404
        assert token.prefix not in client.get(PAGE).content.decode()
    token.refresh_from_db()
    assert token.revoked_at is None


def test_forms_from_elsewhere_are_refused(scene: Scene) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(scene.people["ben"])
    answer = client.post(PAGE, {"name": "x", "namespace": "", "expires_in_days": "30"})
    assert answer.status_code == 403
    assert not ServiceToken.objects.filter(user=scene.people["ben"]).exists()
