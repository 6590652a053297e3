"""The base of every page: the rule is asked, the reader known, and what they may not see is not there."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.views import View

from registry.errors import Forbidden, NotVisible
from registry.http.access import Holds, rule_for
from registry.http.authentication import principal_of
from registry.models import Namespace, Principal
from registry.permissions import check_can, visible_namespace


class Page(View):
    """A page for people who are signed in. `self.principal` is the reader; `self.namespace` is that of the
    route, found and with the rule's permission checked before a method runs."""

    principal: Principal
    namespace: Namespace

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        rule = rule_for(request)
        if rule is None:
            raise PermissionDenied
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        self.principal = principal_of(request)
        try:
            if "namespace" in kwargs:
                self.namespace = visible_namespace(self.principal, kwargs["namespace"])
                if isinstance(rule, Holds):
                    check_can(self.principal, rule.permission, self.namespace)
            return super().dispatch(request, *args, **kwargs)
        except NotVisible as refusal:
            raise Http404(refusal.sentence) from None
        except Forbidden as refusal:
            raise PermissionDenied(refusal.sentence) from None
