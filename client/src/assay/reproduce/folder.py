"""A folder with all that a version was made of, as far as it was recorded and is at hand."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from assay.answers import Attachment, Run, Version
from assay.errors import AssayError, PathRefused
from assay.reproduce import code, data, environment
from assay.reproduce.data import Places
from assay.reproduce.pieces import MISSING, PRESENT, UNKNOWN, Piece
from assay.tracking import rehearsal
from assay.tracking.redaction import REDACTED


class NothingRecorded(AssayError):
    """There is no run of which anything could be done over."""


class Registry(Protocol):
    """The calls of `assay.Client` that a reproduction makes."""

    def version(self, ref: str) -> Version: ...

    def run(self, run_id: str) -> Run: ...

    def attachments(self, ref: str) -> list[Attachment]: ...

    def attachment(self, attachment_id: str) -> bytes: ...


@dataclass
class Prepared:
    """The folder, and what is in it. `command` is empty where it is not known; `directory` is where it is run."""

    version: Version
    run: Run
    folder: Path
    directory: Path | None
    command: list[str]
    pieces: list[Piece] = field(default_factory=list)
    data: list[Piece] = field(default_factory=list)

    @property
    def code(self) -> Path:
        return self.folder / "code"

    @property
    def obstacles(self) -> list[str]:
        """Why running it would prove nothing."""
        found = []
        if self.directory is None:
            found.append("the code is not here")
        if not self.command:
            found.append("the command is not known")
        if any(REDACTED in word for word in self.command):
            found.append("the command held a secret: fill it in in run.sh and run that")
        if lacking := data.needed(self.data):
            found.append(f"data is not as it was: {', '.join(lacking)}")
        if any(piece.name == "changes" and piece.state == MISSING for piece in self.pieces):
            found.append("the code had changes that are not here")
        return found

    def facts(self) -> dict[str, Any]:
        return {
            "reference": self.version["reference"],
            "run": self.run["id"],
            "folder": str(self.folder),
            "command": self.command,
            "pieces": [piece.facts() for piece in self.pieces],
            "data": [piece.facts() for piece in self.data],
            "obstacles": self.obstacles,
        }


def prepare(registry: Registry, ref: str, into: Path | None, places: Places) -> Prepared:
    """Write the folder, by default `<model>-<number>-reproduced`.

    Raises NothingRecorded, PathRefused (the folder is there already), and what the registry's calls raise.
    """
    version = registry.version(ref)
    if not version["run"]:
        raise NothingRecorded(
            f"{version['reference']} was registered without a run: what made it is not recorded, so it cannot be "
            "done over."
        )
    run = registry.run(version["run"])
    folder = into or Path(f"{version['model']}-{version['number']}-reproduced")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PathRefused(f"{folder} is there already: name an empty or a new folder with --into.")
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    made = Prepared(version, run, folder, None, list(run.get("command") or []))
    _code(made, registry, places)
    made.data = list(data.gather(run["datasets"], places, made.code if made.directory else None))
    program = PurePosixPath(made.command[0]).name if made.command else "python"
    made.pieces.append(environment.check(run.get("environment") or {}, program))
    made.pieces.append(_command(made))
    _write(made)
    return made


def _code(made: Prepared, registry: Registry, places: Places) -> None:
    recorded = made.run.get("code") or {}
    commit = str(recorded.get("commit") or "")
    if not commit:
        made.pieces.append(Piece("code", MISSING, "no commit was recorded"))
        return
    try:
        remote = str(recorded.get("remote") or "")
        made.pieces.append(code.fetch(commit, remote, places.repository, made.code))
    except code.CodeNotHere as error:
        shutil.rmtree(made.code, ignore_errors=True)
        made.pieces.append(Piece("code", MISSING, str(error)))
        return
    made.directory = _directory(made, recorded.get("directory"))
    reference = made.version["reference"]
    kept = [each for each in registry.attachments(reference) if each["kind"] == "code_diff"]
    diff = code.Diff(registry.attachment(kept[-1]["id"])) if kept and recorded.get("dirty") else None
    made.pieces += code.apply(recorded, diff, made.code)


def _directory(made: Prepared, recorded: object) -> Path | None:
    """Where it was started. Without a record of it: where the script's path of the command leads to its entry."""
    inside = str(recorded or "")
    if not inside:
        entry = made.run["entry_point"].partition(":")[0]
        words = [word for word in made.command if word == entry or entry.endswith(f"/{word}")]
        inside = entry.removesuffix(words[0]).strip("/") if words else "."
    found = (made.code / inside).resolve()
    if found.is_dir() and found.is_relative_to(made.code.resolve()):
        return found
    made.pieces.append(Piece("working folder", MISSING, f"{inside} is not in the code"))
    return None


def _command(made: Prepared) -> Piece:
    entry = made.run["entry_point"]
    if not made.command:
        return Piece("command", MISSING, "no command was recorded")
    if entry.partition(":")[0].endswith(".ipynb") or entry.startswith("notebook"):
        made.command = []
        return Piece(
            "command", UNKNOWN, f"{entry} was run in a notebook, cell by cell: no command does it over"
        )
    return Piece("command", PRESENT, shlex.join(made.command))


def _write(made: Prepared) -> None:
    run, recorded = made.run, made.run.get("environment") or {}
    files = {
        "README.md": _readme(made),
        "requirements.txt": environment.requirements(recorded),
        "params.json": _json({"parameters": run["parameters"], "config": run.get("config")}),
        "metrics.json": _json(run["metrics"]),
        "data.json": _json(
            [{**said, **piece.facts()} for said, piece in zip(_read(run), made.data, strict=True)]
        ),
        "environment.json": _json({key: value for key, value in recorded.items() if key != "packages"}),
    }
    for name, content in files.items():
        (made.folder / name).write_text(content, encoding="utf-8")
    if made.command and made.directory is not None:
        script = made.folder / "run.sh"
        script.write_text(_script(made), encoding="utf-8")
        script.chmod(0o755)


def _read(run: Run) -> list[dict[str, Any]]:
    return [each for each in run["datasets"] if each.get("role") == "input"]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _script(made: Prepared) -> str:
    inside = made.directory.relative_to(made.folder) if made.directory is not None else Path("code")
    exports = environment.variables(made.run.get("environment") or {})
    return "\n".join(
        [
            "#!/bin/sh",
            f"# What made {_line(made.version['reference'])}, as it was recorded.",
            "set -eu",
            'here=$(cd "$(dirname "$0")" && pwd)',
            # Code that registers by itself writes there; set and empty, it registers.
            f'export {rehearsal.VARIABLE}="${{{rehearsal.VARIABLE}-$here/result}}"',
            f'cd "$here"/{shlex.quote(str(inside))}',
            *(f"export {name}={shlex.quote(value)}" for name, value in exports.items()),
            f"exec {shlex.join(made.command)}",
            "",
        ]
    )


def _line(text: str) -> str:
    return " ".join(text.split())


def _readme(made: Prepared) -> str:
    version, run = made.version, made.run
    recorded = run.get("environment") or {}
    rows: Sequence[tuple[str, str]] = (
        ("version", f"{version['reference']} ({version['digest']})"),
        ("run", f"{run['id']}, {run['started_at']}, by {run['created_by']}"),
        ("python", str(recorded.get("python") or "not recorded")),
        ("image", str(recorded.get("image_digest") or "not recorded")),
        ("seeds", ", ".join(f"{k}={v}" for k, v in (recorded.get("seeds") or {}).items()) or "not recorded"),
    )
    state = [f"- {piece.name}: {piece.state}. {piece.sentence}" for piece in [*made.pieces, *made.data]]
    stands = [f"- {each}" for each in made.obstacles]
    return "\n".join(
        [
            f"# {version['reference']}, done over", "",
            *(f"- {name}: {value}" for name, value in rows), "",
            "`code/` is the commit with the changes that were kept; `run.sh` is the command. `requirements.txt` are",
            "the packages that were recorded, `params.json` the parameters, `metrics.json` what was measured,",
            "`data.json` the data with its digests. Install the packages in an environment of their own, put it first",
            "on the PATH, and run `run.sh`; `assay reproduce --run` does so and compares. Nothing is registered: what",
            "the code tells the registry is in `result/`.", "",
            "## What is here", "", *state, "",
            *(["## What is in the way of the same result", "", *stands, ""] if stands else []),
        ]
    )  # fmt: skip
