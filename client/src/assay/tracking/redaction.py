"""What must not leave the machine: secrets by name and by pattern, taken out before anything is sent.

Names are matched by their words, so that `hf_token` is a secret, `max_tokens` and `pad_token` are not. Patterns
find tokens of known issuers, keys in PEM, user names and passwords in addresses, signed query strings. What is found
to be a secret by its name, in the environment, an argument or a configuration, and the passwords in the addresses
there, is taken out wherever it appears after that: in a traceback, a diff. The home folder is written as `~`.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

REDACTED = "[redacted]"

_ALWAYS = {"password", "passwd", "passphrase", "pwd", "secret", "secrets", "credential", "credentials", "apikey",
           "authorization", "sas", "cookie"}  # fmt: skip
_PAIRS = {("api", "key"), ("access", "key"), ("private", "key"), ("account", "key"), ("signing", "key"),
          ("encryption", "key"), ("connection", "string"), ("auth", "key"), ("storage", "key"), ("shared", "key"),
          ("db", "pass"), ("user", "pass"), ("mysql", "pass"), ("postgres", "pass"), ("pg", "pass"), ("smtp", "pass"),
          ("ftp", "pass"), ("redis", "pass"), ("webhook", "url")}  # fmt: skip
# The special tokens of a tokenizer are parameters of a model, not secrets.
_MODEL_TOKENS = {
    "pad",
    "eos",
    "bos",
    "unk",
    "mask",
    "sep",
    "cls",
    "special",
    "image",
    "per",
    "max",
    "num",
    "n",
}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# Of a variable of the environment, these say more than of a parameter.
_OF_VARIABLES = {"key", "pass", "dsn", "webhook", "auth", "pat"}
_NAMED = (
    r"[\w.\-]*(?:password|passwd|passphrase|pwd|secret|token|credentials?|(?:db|user|mysql|postgres|pg|smtp|ftp|redis)[_-]?pass|authorization"
    r"|(?:api|access|private|secret|account|signing|encryption|storage|shared|auth)[_-]?key|connection[_-]?string)"
)
_USER_INFO = re.compile(r"(?i)\b[a-z][a-z0-9+.\-]*://[^\s/?#'\"@:]*:([^\s/?#'\"@]+)@")
_SHORTEST_LEARNT = 6
_SUBSTITUTIONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
                re.DOTALL), REDACTED),
    # user and password, or a token as the user, in an address; `git@` of ssh is no secret
    (re.compile(r"(?i)\b([a-z][a-z0-9+.\-]*://)(?!git@)[^\s/?#'\"]*@"), r"\1"),
    (re.compile(r"(?i)([?&;][^=&\s#]*(?:token|key|secret|sig|signature|password|passwd|pwd|credential|auth)[^=&\s#]*=)"
                r"[^&\s#'\"]+"), r"\1" + REDACTED),
    (re.compile(r"(?i)\b(authorization[\"']?\s*[=:]\s*[\"']?)(?:[a-z]+\s+)?[^\s\"',]+"), r"\1" + REDACTED),
    (re.compile(rf"(?i)(?<!\S)(--?{_NAMED}\s+)(\"[^\"]*\"|'[^']*'|[^\s\-]\S*)"), r"\1" + REDACTED),
    (re.compile(r"(?<!\S)((?:-u|--user)[ =])[^\s:]+:\S+"), r"\1" + REDACTED),
    (re.compile(rf"(?i)\b({_NAMED})([\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&]+)"), r"\1\2" + REDACTED),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9+/=._~\-]{8,}"), r"\1 " + REDACTED),
    (re.compile(
        r"\b(?:assay_[A-Za-z0-9]+_[A-Za-z0-9_\-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w\-]{15,}"
        r"|xox[abprs]-[\w\-]{10,}|hf_[A-Za-z0-9]{20,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|dckr_pat_[\w\-]{20,}|SG\.[\w\-]{16,}\.[\w\-]{16,}"
        r"|dapi[0-9a-f]{32}|ya29\.[\w\-]{20,}|AGE-SECRET-KEY-[A-Z0-9]{20,}|sk-[\w\-]{20,}|pypi-[\w\-]{20,}|npm_[A-Za-z0-9]{20,}"
        r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w\-]{30,}|whsec_[A-Za-z0-9+/=]{16,}"
        r"|eyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]*)"), REDACTED),
    (re.compile(r"(?i)(https://(?:hooks\.slack\.com|[\w.]*webhook\.office\.com|discord(?:app)?\.com/api/webhooks)/)[^\s'\"]+"),
     r"\1" + REDACTED),
)  # fmt: skip


def is_secret_name(name: str) -> bool:
    """Whether a parameter, option or variable of this name holds a secret."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if any(word in _ALWAYS for word in words) or any(pair in _PAIRS for pair in itertools.pairwise(words)):
        return True
    return bool(words) and words[-1] == "token" and (len(words) == 1 or words[-2] not in _MODEL_TOKENS)


class Redactor:
    """Takes secrets out of what is about to be sent; `environ` is looked through once for their values."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        variables = os.environ if environ is None else environ
        self._secrets: list[str] = []
        for name, value in variables.items():
            if is_secret_name(name) or _secret_variable(name):
                self.learn(value, shortest=8)
            self._learn_passwords(value)
        try:
            self._home = str(Path.home())
        except RuntimeError:  # no home folder is known
            self._home = ""

    def learn(self, value: str, shortest: int = _SHORTEST_LEARNT) -> None:
        """Take this out wherever it appears from now on. A short one is not: it would be found in other words."""
        if len(value) >= shortest and value not in self._secrets and value != REDACTED:
            self._secrets = sorted([*self._secrets, value], key=len, reverse=True)

    def text(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, REDACTED)
        for pattern, replacement in _SUBSTITUTIONS:
            text = pattern.sub(replacement, text)
        if len(self._home) > 1:
            text = re.sub(rf"{re.escape(self._home)}(?=/|$)", "~", text)
        return text

    def value(self, name: str, value: str) -> str:
        """The value of something that has a name. A number is left in unless its name says password or secret."""
        if is_secret_name(name) and value not in ("", "None", "True", "False"):
            self.learn(value)
            return REDACTED
        self._learn_passwords(value)
        return self.text(value)

    def command(self, arguments: Iterable[str]) -> list[str]:
        """A command line; the value after a secret option is taken out, `--password x` as well as `--password=x`."""
        shown: list[str] = []
        hide_next = False
        for argument in arguments:
            if hide_next and not argument.startswith("--"):
                self.learn(argument)
                shown.append(REDACTED)
                hide_next = False
                continue
            hide_next = False
            option, equals, value = argument.partition("=")
            if option.startswith("-") and is_secret_name(option):
                self.learn(value)
                shown.append(f"{option}={REDACTED}" if equals and value else argument)
                hide_next = not equals
            else:
                self._learn_passwords(argument)
                shown.append(self.text(argument))
        return shown

    def mapping(self, values: Mapping[str, str]) -> dict[str, str]:
        return {name: self.value(name, value) for name, value in values.items()}

    def _learn_passwords(self, text: str) -> None:
        if "://" in text:
            for found in _USER_INFO.finditer(text):
                self.learn(found[1])


def _secret_variable(name: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(name)]
    return bool(words) and words[-1] in _OF_VARIABLES
