"""Routes; each has its rule in config/rules.py."""

from django.urls import URLPattern, path

from protocols.openlineage.api import Events, FacetSchema

urlpatterns: list[URLPattern] = [
    # The path at which the standard's clients post when they are told nothing but the server.
    path("lineage", Events.as_view(), name="lineage-events"),
    path("openlineage/facets/<str:facet>.json", FacetSchema.as_view(), name="openlineage-facet"),
]
