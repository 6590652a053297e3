"""What must not leave the machine: secrets by name and by pattern, taken out before anything is sent.

Names are matched by their words, so that `hf_token` is a secret, `max_tokens` and `pad_token` are not. Patterns
find tokens of known issuers, keys in PEM, user names and passwords in addresses, signed query strings. Values of
environment variables whose names look secret are taken out wherever they appear. The home folder is written as `~`.
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
          ("encryption", "key"), ("connection", "string"), ("auth", "key")}  # fmt: skip
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

_NAMED = (
    r"[\w.\-]*(?:password|passwd|passphrase|pwd|secret|token|credentials?"
    r"|api[_-]?key|access[_-]?key|private[_-]?key)"
)
_SUBSTITUTIONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REDACTED),
    # user and password, or a token as the user, in an address; `git@` of ssh is no secret
    (re.compile(r"(?i)\b([a-z][a-z0-9+.\-]*://)(?!git@)[^\s/?#'\"]*@"), r"\1"),
    (re.compile(r"(?i)([?&;][^=&\s#]*(?:token|key|secret|sig|signature|password|passwd|pwd|credential|auth)[^=&\s#]*=)"
                r"[^&\s#'\"]+"), r"\1" + REDACTED),
    (re.compile(rf"(?i)\b({_NAMED})([\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&]+)"), r"\1\2" + REDACTED),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9+/=._~\-]{8,}"), r"\1 " + REDACTED),
    (re.compile(
        r"\b(?:assay_[A-Za-z0-9]+_[A-Za-z0-9_\-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w\-]{15,}"
        r"|xox[abprs]-[\w\-]{10,}|hf_[A-Za-z0-9]{20,}|sk-[\w\-]{20,}|pypi-[\w\-]{20,}|npm_[A-Za-z0-9]{20,}"
        r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w\-]{30,}|whsec_[A-Za-z0-9+/=]{16,}"
        r"|eyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]*)"), REDACTED),
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
        secrets = {value for name, value in variables.items() if is_secret_name(name) and len(value) >= 8}
        self._secrets = sorted(secrets, key=len, reverse=True)
        try:
            self._home = str(Path.home())
        except RuntimeError:  # no home folder is known
            self._home = ""

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
            return REDACTED
        return self.text(value)

    def command(self, arguments: Iterable[str]) -> list[str]:
        """A command line; the value after a secret option is taken out, `--password x` as well as `--password=x`."""
        shown: list[str] = []
        hide_next = False
        for argument in arguments:
            if hide_next and not argument.startswith("--"):
                shown.append(REDACTED)
                hide_next = False
                continue
            hide_next = False
            option, equals, value = argument.partition("=")
            if option.startswith("-") and is_secret_name(option):
                shown.append(f"{option}={REDACTED}" if equals and value else argument)
                hide_next = not equals
            else:
                shown.append(self.text(argument))
        return shown

    def mapping(self, values: Mapping[str, str]) -> dict[str, str]:
        return {name: self.value(name, value) for name, value in values.items()}
