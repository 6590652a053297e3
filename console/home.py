"""The first page: search, and the models that the reader sees."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import F, OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console.finding import Found, find
from console.page import Page
from lifecycle.dossier.inbox import count_waiting
from registry.models import ModelVersion, Namespace, RegisteredModel, Stage
from registry.models.visibility import namespaces_where
from registry.roles import Permission

MOST_MODELS = 200


class Home(Page):
    """`?q=` searches versions; without it, the models by namespace."""

    def get(self, request: HttpRequest) -> HttpResponse:
        query = request.GET.get("q", "").strip()
        order = request.GET.get("order_by", "").strip()
        found = find(query, order, self.principal) if query else Found()
        return render(
            request,
            "console/home.html",
            {
                "query": query,
                "order": order,
                "found": found,
                "rooms": [] if query else self.rooms(),
                "waiting": 0 if query else count_waiting(self.principal),
                "address": settings.PUBLIC_URL,
            },
        )

    def rooms(self) -> list[dict[str, Any]]:
        """The namespaces that the reader sees, each with its models. Two queries."""
        mine = namespaces_where(self.principal, Permission.NAMESPACE_READ)
        in_production = ModelVersion.objects.filter(model=OuterRef("pk"), stage=Stage.PRODUCTION)
        newest = ModelVersion.objects.filter(model=OuterRef("pk")).order_by("-number")
        models = (
            RegisteredModel.objects.visible_to(self.principal)
            .filter(deleted_at=None)
            .annotate(
                made=F("next_number") - 1,
                produced=Subquery(in_production.values("number")[:1]),
                newest=Subquery(newest.values("number")[:1]),
                newest_at=Subquery(newest.values("created_at")[:1]),
            )
            .order_by("namespace__name", "name")[:MOST_MODELS]
        )
        by_namespace: dict[Any, list[RegisteredModel]] = {}
        for model in models:
            by_namespace.setdefault(model.namespace_id, []).append(model)
        return [
            {"namespace": namespace, "models": by_namespace.get(namespace.pk, [])}
            for namespace in Namespace.objects.filter(pk__in=mine).order_by("name")
        ]
