"""docker-compose.yml: to the letter of the Compose specification, and to what SECURITY.md says of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.celery import app
from tests.deploy.compose import FILE, OURS, document, fill, in_order, services

SECRET_NAME = re.compile(
    r"PASSWORD|SECRET|TOKEN|PRIVATE|ACCESS_KEY|DATABASE_URL|DATABASE_OWNER_URL|REDIS_URL"
)


def against_the_specification(path: Path) -> subprocess.CompletedProcess[str]:
    """Validate with the Compose specification's own schema, which check-jsonschema carries."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_it_meets_the_compose_specification() -> None:
    result = against_the_specification(FILE)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_broken_file_does_not(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(FILE.read_text().replace("healthcheck:", "healthchecks:"))
    assert against_the_specification(broken).returncode != 0


def test_variables_are_filled_in_as_compose_does() -> None:
    assert fill("${A:-x}:${B:-y} $$HOME ${C}", {"A": "1", "B": ""}) == "1:y $HOME "


def test_only_the_proxy_is_published() -> None:
    assert [name for name, service in services().items() if "ports" in service.config] == ["proxy"]
    assert not [name for name, service in services().items() if "network_mode" in service.config]


def test_what_is_published_is_on_loopback_until_told_otherwise() -> None:
    assert services()["proxy"].config["ports"] == ["127.0.0.1:8000:8000", "127.0.0.1:9000:9000"]
    assert services({"ASSAY_BIND": "0.0.0.0"})["proxy"].config["ports"][0] == "0.0.0.0:8000:8000"


def test_every_image_is_pinned() -> None:
    for name, service in services().items():
        assert re.search(r":[^:/]*\d+[.\d-]*\S*$", service.config["image"]), name
        assert "latest" not in service.config["image"]


def test_every_service_that_stays_has_a_health_check_and_the_others_run_once() -> None:
    once = {
        name
        for service in services().values()
        for name, how in service.waits_for.items()
        if how == "service_completed_successfully"
    }
    assert once == {"migrate", "buckets"}
    assert {name for name, service in services().items() if service.health is None} == once


def test_what_is_waited_for_is_there_and_in_an_order() -> None:
    everything = services()
    for service in everything.values():
        assert set(service.waits_for) <= set(everything)
        assert set(service.waits_for.values()) <= {"service_healthy", "service_completed_successfully"}
    order = [service.name for group in in_order(everything) for service in group]
    assert order.index("db") < order.index("migrate") < order.index("web") < order.index("proxy")
    assert order.index("minio") < order.index("buckets") < order.index("worker-artifacts")


def test_a_store_that_was_not_chosen_is_not_waited_for() -> None:
    waits = services()["buckets"].config["depends_on"]
    stores = {name for name, service in services().items() if "profiles" in service.config}
    assert stores == {"minio", "seaweedfs"} == set(waits)
    assert all(waits[name]["required"] is False for name in stores)
    assert all(services()[name].config["networks"]["store"]["aliases"] == ["store"] for name in stores)


@pytest.mark.parametrize("queue", ["default", "gates", "artifacts", "upkeep"])
def test_each_queue_has_its_worker(queue: str) -> None:
    command = services()[f"worker-{queue}"].command
    assert command[command.index("-Q") + 1] == queue


def test_the_queues_are_those_that_tasks_are_sent_to() -> None:
    used = {route["queue"] for route in app.conf.task_routes.values()} | {app.conf.task_default_queue}
    assert used == {name.removeprefix("worker-") for name in services() if name.startswith("worker-")}


def test_no_credential_is_written_in_it() -> None:
    for name, service in services().items():
        for variable in service.environment:
            assert variable.endswith("_FILE") or not SECRET_NAME.search(variable), f"{name}: {variable}"
        mounted = {f"/run/secrets/{secret}" for secret in service.secrets}
        asked = {v for k, v in service.environment.items() if k.endswith("_FILE") and k != "ASSAY_BEAT_FILE"}
        assert asked <= mounted, name


def test_every_secret_is_a_file_in_the_ignored_folder() -> None:
    secrets = document()["secrets"]
    assert {s for service in services().values() for s in service.secrets} == set(secrets)
    assert all(entry == {"file": f"./deploy/secrets/{name}"} for name, entry in secrets.items())


def test_the_owner_of_the_database_is_known_to_migrate_alone() -> None:
    holders = {name for name, service in services().items() if "database_owner_url" in service.secrets}
    assert holders == {"migrate"}


def test_data_has_no_way_out() -> None:
    networks = document()["networks"]
    internal = {name for name, config in networks.items() if config.get("internal")}
    for name in ("db", "broker", "minio", "seaweedfs"):
        assert services()[name].networks <= internal, name
    assert services()["proxy"].networks & internal == {"store"}


@pytest.mark.parametrize("name", [*OURS, "proxy"])
def test_ours_run_with_nothing_they_do_not_need(name: str) -> None:
    config = services()[name].config
    assert config["read_only"] is True
    assert config["cap_drop"] == ["ALL"]
    assert config["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in config
