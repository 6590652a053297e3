"""The base of every REST endpoint: the rule is asked, the namespace found, unsafe calls made once."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from registry.http.access import ByRule, Holds, rule_for
from registry.http.authentication import principal_of
from registry.http.idempotency import once
from registry.http.parsing import check_text
from registry.models import ModelVersion, Namespace, Principal, RegisteredModel
from registry.permissions import check_can, visible, visible_namespace

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


class Endpoint(APIView):
    """A resource. Methods named `get`, `post`, ... take the request and the route's arguments.

    `self.principal` is who calls. Before a method runs, the rule's permission has been checked in the
    namespace that the route leads to: by `namespace` in the path, or by the row that `noun` and `id` name.
    """

    permission_classes = (ByRule,)
    # For nouns addressed by UUID: where to look, how to call it, and the way from the row to its namespace.
    noun: ClassVar[tuple[Any, str] | None] = None
    # Calls that move bytes or log measurements: safe to repeat by their own nature, not by key.
    repeatable: ClassVar[bool] = False
    principal: Principal
    namespace: Namespace
    row: Any

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        method = str(request.method).lower()
        if method not in self.http_method_names or not hasattr(self, method):
            self.http_method_not_allowed(request)
        for value in kwargs.values():
            check_text(str(value))
        for name, values in request.query_params.lists():
            for value in (name, *values):
                check_text(value)
        super().initial(request, *args, **kwargs)
        self.principal = principal_of(request)
        if (namespace := kwargs.get("namespace")) is not None:
            self.namespace = visible_namespace(self.principal, namespace)
        elif self.noun is not None:
            rows, what = self.noun
            self.row = visible(rows.all(), self.principal, what, pk=kwargs["id"])
            self.namespace = self.namespace_of(self.row)
        rule = rule_for(request)
        if isinstance(rule, Holds) and not (rule.or_designated and self.is_designated()):
            check_can(self.principal, rule.permission, self.namespace)

    def is_designated(self) -> bool:
        """Whether the caller was designated on the model that this is about."""
        return False

    def namespace_of(self, row: Any) -> Namespace:
        """The namespace a row belongs to."""
        found = row
        for step in row.__class__.objects.all().to_namespace.removesuffix("_id").split("__"):
            found = getattr(found, step)
        if not isinstance(found, Namespace):
            raise TypeError(f"{row!r} leads to no namespace")
        return found

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        method = request.method.upper()
        handler = getattr(self, method.lower(), None)
        if method in UNSAFE and handler is not None and not self.repeatable:

            def made_once(drf_request: Request, *a: Any, **k: Any) -> Response:
                # A body that cannot be read is refused, whether this call wants one or not.
                _ = drf_request.data
                return once(drf_request, self.principal.account, lambda: handler(drf_request, *a, **k))

            setattr(self, method.lower(), made_once)
        return super().dispatch(request, *args, **kwargs)

    def model(self, name: str) -> RegisteredModel:
        """The model of that name in this namespace. Raises NotVisible."""
        rows = RegisteredModel.objects.select_related("namespace").filter(deleted_at=None)
        found: RegisteredModel = visible(
            rows, self.principal, f"model {self.namespace.name}/{name}", namespace=self.namespace, name=name
        )
        return found

    def version(self, name: str, number: int) -> ModelVersion:
        """The version of that number. Raises NotVisible."""
        rows = ModelVersion.objects.select_related("model__namespace", "manifest", "created_by")
        found: ModelVersion = visible(
            rows,
            self.principal,
            f"version {self.namespace.name}/{name}:{number}",
            model__namespace=self.namespace,
            model__name=name,
            number=number,
        )
        return found

    def read(self, serializer: type[BaseSerializer[Any]], request: Request) -> dict[str, Any]:
        """The request's body, checked. Raises a validation error that names each field."""
        form = serializer(data=request.data)
        form.is_valid(raise_exception=True)
        return dict(form.validated_data)
