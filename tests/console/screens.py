"""Pictures of the pages, to look at: `ASSAY_HOME=... python -m tests.console.screens FOLDER [URL]`.

Makes a scene in the running stack that `manage.py up` started, and goes through it in Chromium.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import django

from config.environment import load_run_file
from tests.console.browsing import Browser, chromium

load_run_file()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from lifecycle.models import Policy  # noqa: E402
from tests.console.scene import make_scene  # noqa: E402 - models need Django set up

WIDTHS = {"": (1280, 800), "-narrow": (390, 844)}


def main(folder: Path, url: str) -> int:
    """Write the pictures; returns how many complaints the pages had."""
    scene = make_scene(
        os.environ.get("SCENE_SUFFIX", f"-{secrets.token_hex(2)}"), log_in=("cora", "ada", "mallory")
    )
    folder.mkdir(parents=True, exist_ok=True)
    room, model = scene.namespace.name, "card-scorer"
    policy = Policy.objects.filter(namespace=scene.namespace, target="production").latest("revision")
    visits = {
        "cora": {
            "desk": "/admin/desk/",
            "decision": f"/admin/desk/{scene.waiting.pk}/",
            "refused": f"/admin/desk/{scene.refused.pk}/",
            "home": "/",
            "model": f"/m/{room}/{model}",
            "version": f"/m/{room}/{model}/4",
            "version-production": f"/m/{room}/{model}/2",
            "promotion": f"/promotions/{scene.refused.pk}",
            "tokens": "/account/tokens",
            "search": "/?q=metric.accuracy+%3E%3D+0.94",
            "missing": "/m/nowhere/nothing",
            "admin": "/admin/",
            "admin-models": "/admin/registry/registeredmodel/",
            "admin-versions": "/admin/registry/modelversion/",
            "admin-version": f"/admin/registry/modelversion/{scene.versions[3].pk}/change/",
            "admin-journal": "/admin/registry/event/",
            "admin-run": f"/admin/lineage/run/{scene.versions[3].run_id}/change/",
            "admin-model": f"/admin/registry/registeredmodel/{scene.versions[3].model_id}/change/",
            "admin-rollback": f"/admin/registry/registeredmodel/{scene.versions[3].model_id}/roll-back/",
            "admin-policies": "/admin/lifecycle/policy/",
        },
        "ada": {
            "admin-namespace": f"/admin/registry/namespace/{scene.namespace.pk}/change/",
            "admin-grant": f"/admin/registry/namespace/{scene.namespace.pk}/grant/",
            "admin-policy": f"/admin/lifecycle/policy/{policy.pk}/change/",
            "admin-policy-draft": f"/admin/lifecycle/policy/{policy.pk}/draft/",
            "decision-ada": f"/admin/desk/{scene.waiting.pk}/",
        },
        "mallory": {"home-empty": "/"},
    }
    with chromium(url) as browser:
        browser.go("/admin/login/")
        picture(browser, folder / "login.png")
        for person, pages in visits.items():
            browser.size(1280, 800)
            browser.sign_in(scene.people[person].username, scene.passwords[person])
            for name, path in pages.items():
                for ending, (width, height) in WIDTHS.items():
                    browser.size(width, height)
                    browser.go(path)
                    picture(
                        browser, folder / f"{name}{ending}.png", full=bool(ending) or not name.startswith("d")
                    )
        for complaint in browser.complaints:
            print(complaint)
        return len(browser.complaints)


def picture(browser: Browser, path: Path, *, full: bool = False) -> None:
    browser.page.screenshot(path=str(path), full_page=full)


if __name__ == "__main__":
    sys.exit(min(main(Path(sys.argv[1]), (sys.argv[2:] or ["http://127.0.0.1:8000"])[0]), 100))
