"""Everything that is captured without being asked for, from before a run begins until it has ended."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.tracking import configuration, entry, environment, git, observe, readers, seeds, workers
from assay.tracking.arguments import Arguments, existing_file
from assay.tracking.completeness import Completeness
from assay.tracking.datasets import Datasets, Use
from assay.tracking.dvc import joining as dvc
from assay.tracking.frames import is_frame
from assay.tracking.redaction import Redactor

_MOST_LISTED = 5


class Capture:
    """Looks at code, environment and configuration when made; sees files being read between `begin` and `end`.

    Nothing here raises: what goes wrong becomes a sentence in `completeness`.
    """

    def __init__(self, entered: entry.Entry, data_roots: Sequence[str | os.PathLike[str]] = ()) -> None:
        self.completeness = Completeness()
        self.redactor = Redactor()
        self.entry = entered
        self.parameters: dict[str, str] = {}
        self.config: dict[str, Any] | None = None
        self._config_path = ""
        self._begun = False
        with observe.paused():
            self.repository = self._repository()
            self._directory = str(self.attempt("the working folder", self._started_in) or "")
            self.environment: dict[str, Any] = self.attempt("the environment", self._environment) or {}
            self._lock_file()
            self.source_digest = str(
                self.attempt("the entry point", lambda: entry.source_digest(entered)) or ""
            )
            first = self.repository.root if self.repository is not None else entered.folder
            roots = [first, *(Path(root) for root in data_roots)]
            self.datasets = Datasets(roots, self.repository, self.redactor, self.completeness)
            self._workers = workers.Watch(self.datasets.observer)
            self._pipeline: dvc.Pipeline | None = self.attempt("the DVC pipeline", self._dvc)

    def attempt(self, what: str, action: Callable[[], Any]) -> Any:
        """Do it; on failure say so in the completeness and answer None."""
        try:
            return action()
        except Exception as error:  # noqa: BLE001 - capture must never end a training
            reason = self.redactor.text(f"{type(error).__name__}: {error}")
            self.completeness.incomplete(f"Capturing {what} failed ({reason}).")
            return None

    def facts(self) -> dict[str, Any]:
        """What a run is made of, as it is sent when it starts."""
        return {
            "entry_point": self.redactor.text(entry.shown(self.entry, self.repository)),
            "command": self.redactor.command(self._command()),
            "code": self._code_and_rest(),
            "environment": {**self.environment, "seeds": seeds.known(self.parameters)},
            "config": self.config,
        }

    @property
    def code(self) -> dict[str, Any] | None:
        """With the digest of what was started as `source_digest`, the folder that it was started in, from the root of
        the repository, as `directory`, and where it was to leave its `results`, from there. None when it is neither
        in Git nor a file."""
        code = self.repository.facts(self.redactor) if self.repository is not None else {}
        if self._directory:
            code["directory"] = self.redactor.text(self._directory)
        if results := self._results():
            code["results"] = {name: self.redactor.text(path) for name, path in results.items()}
        if self.source_digest:
            code["source_digest"] = self.source_digest
        return code or None

    @property
    def changes(self) -> str:
        """The diff against the commit, secrets taken out; empty when there is none, or none to be kept."""
        found = self.repository.changes if self.repository is not None else None
        return self.redactor.text(found.decode("utf-8", "replace")) if found else ""

    def take_config(self, path: str | os.PathLike[str]) -> None:
        """The configuration file that was named. Its values become parameters that arguments may replace."""
        with observe.paused():
            self.attempt(
                f"the configuration {self.redactor.text(str(path))}", lambda: self._configuration(Path(path))
            )

    def take_arguments(self, arguments: Arguments) -> None:
        """What the tracked function was called with. Tables are digested now: the function may change them."""
        with observe.paused():
            for name, path in arguments.configurations.items():
                if self.config is None:
                    self.take_config(path)
                elif os.path.realpath(path) != self._config_path:
                    arguments.files[name] = path
            for path in arguments.files.values():
                self.attempt("an argument", functools.partial(self.datasets.add_argument, path))
            for name, value in arguments.frames.items():
                self.take_dataset(name, value)
            given = {name: self.redactor.value(name, value) for name, value in arguments.parameters.items()}
            self.parameters.update(given)

    def take_declared(self, declared: Mapping[str, Any] | Sequence[Any]) -> None:
        """`datasets=` of a run: paths, or names with a path or a table, or a pair of that and its context."""
        if isinstance(declared, Mapping):
            for name, value in declared.items():
                pair = (
                    isinstance(value, tuple)
                    and len(value) == 2
                    and isinstance(value[1], str)
                    and not is_frame(value[1])
                )
                source, context = value if pair else (value, None)
                self.take_dataset(name, source, context)
        else:
            for source in declared:
                self.take_dataset("", source)

    def take_dataset(self, name: str, source: Any, context: str | None = None) -> None:
        with observe.paused():
            shown = self.redactor.text(name)
            self.attempt(f"the dataset `{shown or self.redactor.text(str(source))}`",
                         lambda: self._dataset(shown, source, context))  # fmt: skip

    def join_pipeline(self, uses: list[Use], namespace: str) -> tuple[list[dict[str, Any]], list[Use]]:
        """Calls that record what made these datasets, where DVC knows it, and the datasets joined to that."""
        pipeline = self._pipeline
        if pipeline is None or not uses:
            return [], uses
        found = self.attempt("the DVC pipeline", lambda: pipeline.join(uses, namespace))
        return found if found is not None else ([], uses)

    def begin(self) -> None:
        self._begun = True
        self.attempt("data files", self.datasets.start)
        self.attempt("data files", readers.wrap)
        self.attempt("seeds", seeds.wrap)
        self.attempt("worker processes", self._workers.start)

    def end(self) -> None:
        """Stop looking, and say what was not seen. The datasets are to be taken after this."""
        if not self._begun:
            return
        self._begun = False
        observe.stop(self.datasets.observer)
        with observe.paused():
            self.attempt("worker processes", self._workers.stop)
            self.attempt("data files", readers.unwrap)
            self.attempt("seeds", seeds.unwrap)
            self.attempt("data files", self._unobserved)
            if self.repository is not None:
                self.attempt("the code", self._code_not_in_git)

    def close(self) -> None:
        """After the datasets were taken for the last time."""
        with observe.paused():
            self.attempt("data files", self.datasets.check_unchanged)
            self.attempt("data files", self.datasets.report_foreign)
            self.attempt("data files", self.datasets.close)

    def outcome(self) -> dict[str, Any]:
        """The `capture` of a run, as it is sent when it ends: what was not seen, and the seeds that were set in it."""
        seen = seeds.told(self.datasets.observer.seeds)
        told = {"seeds": self.redactor.mapping(seen)} if seen else {}
        return {**self.completeness.facts(), **told}

    def _environment(self) -> dict[str, Any]:
        return environment.facts()

    def _code_and_rest(self) -> dict[str, Any] | None:
        code, found = self.code, self.repository
        if code is not None and found is not None and found.commit:
            root = os.path.realpath(found.root)
            files = [os.path.relpath(self._config_path, root)] if self._config_path else []
            files += [self.environment["lock_file"]["path"]] if "lock_file" in self.environment else []
            code["rest_digest"] = self.attempt("the code", lambda: found.rest_digest(files)) or ""
        return code

    def _lock_file(self) -> None:
        """What the packages were to be, by the file of the folder that was started in, or of one above it."""
        top = self.repository.root if self.repository is not None else None
        found = self.attempt("the lock file", lambda: environment.lock_file(self.entry.folder, top))
        if found:
            self.environment["lock_file"] = {**found, "path": self.redactor.text(found["path"])}

    def _command(self) -> list[str]:
        return entry.command()

    def _repository(self) -> git.Repository | None:
        try:
            found = git.inspect(self.entry.folder)
        except git.GitFailed as error:
            self.completeness.incomplete(
                f"Git could not tell about the code: {self.redactor.text(str(error))}."
            )
            return None
        if found is None:
            self.completeness.incomplete("The code is in no Git repository, so no commit is recorded.")
        elif found.commit is None:
            self.completeness.incomplete("The Git repository has no commit yet.")
        elif found.dirty:
            kept = (
                "their diff is kept"
                if found.changes is not None
                else "only the digest of their diff is recorded"
            )
            self.completeness.incomplete(f"The work tree had uncommitted changes; {kept}.")
        return found

    def _started_in(self) -> str:
        """The working folder, from the root of the repository; empty outside of it."""
        if self.repository is None:
            return ""
        inside = os.path.relpath(os.path.realpath(os.curdir), os.path.realpath(self.repository.root))
        return "" if inside.startswith(os.pardir) else inside

    def _results(self) -> dict[str, str]:
        """Where the code leaves its model and metrics, when it is told so."""
        return {}

    def _dvc(self) -> dvc.Pipeline | None:
        folder = dvc.folder_of(self.repository, self.entry.folder)
        if folder is None or self.repository is None:
            return None
        return dvc.Pipeline(folder, self.repository, self.redactor, self.completeness)

    def _configuration(self, path: Path) -> None:
        found = configuration.read(path)
        shown = (
            os.path.relpath(path.resolve(), self.repository.root.resolve()) if self.repository else str(path)
        )
        self.config = found.facts(str(path) if shown.startswith("..") else shown, self.redactor)
        self._config_path = os.path.realpath(path)
        self.datasets.leave_out(path)
        self.parameters.update(self.config["values"])
        if found.problem:
            name = self.redactor.text(path.name)
            self.completeness.incomplete(
                f"The values of the configuration `{name}` are not recorded: {found.problem}."
            )

    def _dataset(self, name: str, source: Any, context: str | None) -> None:
        path = existing_file(source)
        if path is not None:
            if name:
                self.datasets.name(path, name, context)
            self.datasets.add_argument(path, tracked_too=bool(name))
        else:
            self.datasets.use(name, source, context=context)

    def _unobserved(self) -> None:
        observer = self.datasets.observer
        for sentence in [*observer.unobserved, *readers.unobservable(observer.rules.roots)]:
            self.completeness.unknown(self.redactor.text(sentence))
        if observer.errors:
            self.completeness.incomplete(f"{observer.errors} files that were opened could not be looked at.")

    def _code_files(self) -> set[str]:
        """The files of the code that ran."""
        return {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}

    def _code_not_in_git(self) -> None:
        if self.repository is None:
            return
        files = list(entry.not_in_git(self.entry, self.repository, self._code_files()))
        if files:
            names = ", ".join(f"`{self.redactor.text(file)}`" for file in files[:_MOST_LISTED])
            more = f" and {len(files) - _MOST_LISTED} more" if len(files) > _MOST_LISTED else ""
            self.completeness.incomplete(f"Code that ran is not in Git: {names}{more}.")
