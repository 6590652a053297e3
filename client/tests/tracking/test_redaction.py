"""Secrets do not leave the machine, and what is no secret stays readable."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.tracking.redaction import REDACTED, Redactor, is_secret_name

CANARY = "c4n4ry-7f3a9b"


@pytest.mark.parametrize(
    "name",
    ["password", "db_password", "DB_PASSWORD", "--password", "apiKey", "API_KEY", "hf_token", "token",
     "AWS_SECRET_ACCESS_KEY", "private-key", "clientSecret", "credentials", "connection_string", "cfg.db.passwd",
     "GITHUB_TOKEN"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens",
        "tokenizer",
        "pad_token",
        "n_tokens",
        "token_length",
        "author",
        "key",
        "seed",
        "keys",
        "secretary",
        "lr",
    ],
)
def test_names_of_parameters(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        f"https://ben:{CANARY}@git.example.com/x.git",
        f"https://{CANARY}@git.example.com/x.git",
        f"postgres://ben:{CANARY}@db/x?sslmode=off",
        f"postgresql+psycopg://ben:{CANARY}-@@db/x",
        f"s3://bucket/x?X-Amz-Signature={CANARY}&y=1",
        f"https://host/x?api_key={CANARY}",
        f"host=db password={CANARY} user=ben",
        f'{{"db_password": "{CANARY}"}}',
        f"Authorization: Bearer {CANARY}{CANARY}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
        f"token={CANARY}",
        "ghp_" + "a1" * 18,
        "assay_ab12cd_" + "x" * 43,
        "AKIA" + "ABCD" * 4,
        "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
    ],
)
def test_patterns(text: str) -> None:
    cleaned = Redactor({}).text(f"before {text} after")
    assert CANARY not in cleaned
    assert text not in cleaned
    assert cleaned.startswith("before ")


@pytest.mark.parametrize(
    "text",
    ["git@github.com:org/repo.git", "ssh://git@host/x.git", "https://host:8080/a/@scope/b", "max_tokens=512",
     "sha256:" + "0a" * 32, "data/train.csv", "lr=0.1", "user@example.com"],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor({}).text(text) == text


def test_values_of_secret_variables_are_found_anywhere() -> None:
    redactor = Redactor({"DB_PASSWORD": CANARY, "LANG": "en_US.UTF-8"})
    assert redactor.text(f"--dsn=ben/{CANARY}/x in en_US.UTF-8") == f"--dsn=ben/{REDACTED}/x in en_US.UTF-8"


def test_a_short_value_is_not_hunted_for() -> None:
    assert Redactor({"DB_PASSWORD": "a"}).text("a banana") == "a banana"


def test_command_lines() -> None:
    command = [
        "python",
        "train.py",
        "--api-key",
        CANARY,
        f"--password={CANARY}",
        "--lr",
        "0.1",
        "--token",
        "--verbose",
    ]
    assert Redactor({}).command(command) == [
        "python", "train.py", "--api-key", REDACTED, f"--password={REDACTED}", "--lr", "0.1", "--token", "--verbose",
    ]  # fmt: skip


def test_the_home_folder_is_not_told() -> None:
    home = str(Path.home())
    assert Redactor({}).text(f"{home}/data/x.csv") == "~/data/x.csv"


def test_named_values() -> None:
    redactor = Redactor({})
    assert redactor.mapping({"net.password": CANARY, "lr": "0.1", "token": "None"}) == {
        "net.password": REDACTED,
        "lr": "0.1",
        "token": "None",
    }
