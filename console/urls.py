"""The pages' routes; each has its rule in config/rules.py."""

from django.urls import URLPattern, path

from console import account, catalog, comparing, home, promotions

urlpatterns: list[URLPattern] = [
    path("", home.Home.as_view(), name="home"),
    path("m/<str:namespace>/<str:name>", catalog.Model.as_view(), name="model-page"),
    path("m/<str:namespace>/<str:name>/<int:number>", catalog.Version.as_view(), name="version-page"),
    path("compare", comparing.Comparing.as_view(), name="compare-page"),
    path("promotions/<uuid:id>", promotions.OnePromotion.as_view(), name="promotion-page"),
    path("account/tokens", account.Tokens.as_view(), name="account-tokens"),
    path("account/tokens/<uuid:id>/revoke", account.Revoke.as_view(), name="account-token-revoke"),
    path("account/sign-out", account.SignOut.as_view(), name="account-sign-out"),
]
