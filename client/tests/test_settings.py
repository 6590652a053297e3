"""Argument, then environment, then file; a token belongs to one server."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay import settings
from assay.errors import SettingsError
from assay.settings import Settings

HERE = "https://assay.example.com"
THERE = "https://other.example.com"


def test_it_works_round_trip() -> None:
    path = settings.save(Settings(HERE, 'assay_"x"\\y'))
    assert settings.load() == Settings(HERE, 'assay_"x"\\y')
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_argument_beats_environment_beats_file(monkeypatch: pytest.MonkeyPatch) -> None:
    settings.save(Settings(HERE, "from-file"))
    assert settings.load().token == "from-file"
    monkeypatch.setenv("ASSAY_URL", f"{HERE}/")
    monkeypatch.setenv("ASSAY_TOKEN", "from-environment")
    assert settings.load() == Settings(HERE, "from-environment")
    assert settings.load(THERE, "given") == Settings(THERE, "given")


def test_a_stored_token_is_not_for_another_server() -> None:
    settings.save(Settings(HERE, "secret"))
    assert settings.load(THERE) == Settings(THERE, "")


def test_login_to_a_second_server_keeps_the_first() -> None:
    settings.save(Settings(HERE, "one"))
    settings.save(Settings(THERE, "two"))
    assert settings.load() == Settings(THERE, "two")
    assert settings.load(HERE) == Settings(HERE, "one")


def test_no_server_is_a_sentence() -> None:
    with pytest.raises(SettingsError, match="assay login"):
        settings.load()


def test_a_file_open_to_others_is_refused() -> None:
    path = settings.save(Settings(HERE, "secret"))
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        settings.load()


def test_a_spoilt_file_is_a_sentence() -> None:
    path = settings.save(Settings(HERE, "secret"))
    path.write_text("default = ")
    with pytest.raises(SettingsError, match="assay login"):
        settings.load()


@pytest.mark.parametrize(
    "url", ["assay.example.com", "ftp://x", "https://", "https://u:p@host", "https://host/?a=b"]
)
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        settings.load(url, "token")


def test_a_relative_xdg_folder_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "here")
    assert settings.config_file() == Path.home() / ".config" / "assay" / "config.toml"


def test_the_token_is_not_in_the_repr() -> None:
    assert "secret" not in repr(Settings(HERE, "secret"))
