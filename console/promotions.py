"""The page of a promotion: the same facts as on the desk, to read."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from console.page import Page
from lifecycle.dossier.promotions import dossier
from lifecycle.models import Promotion


class OnePromotion(Page):
    """What was asked, what the gates said, who decided."""

    def get(self, request: HttpRequest, id: UUID) -> HttpResponse:
        try:
            found = dossier(id, self.principal)
        except Promotion.DoesNotExist:
            raise Http404 from None
        return render(request, "console/promotion.html", {"dossier": found})
