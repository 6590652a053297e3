"""The way through a file: its format, the reader for it, and the same for every file inside."""

from __future__ import annotations

from registry.artifacts.scanning.archives import judge_tar, judge_zip
from registry.artifacts.scanning.context import RAW, TORCH_PICKLE, Context, inside
from registry.artifacts.scanning.declared import MOST_JSON, judge_hdf5, judge_keras, read_json
from registry.artifacts.scanning.directory import any_end_record
from registry.artifacts.scanning.graphs import judge_onnx, judge_saved_model, kind_of
from registry.artifacts.scanning.machine import MOST_GUESSED_LINE
from registry.artifacts.scanning.pickles import Walker
from registry.artifacts.scanning.report import (
    MALICIOUS,
    SUSPICIOUS,
    UNSCANNABLE,
    Malformed,
    Report,
    Unscannable,
    worst,
)
from registry.artifacts.scanning.sniff import COMPRESSED, HARMLESS, HEAD, SEALED, is_text, sniff
from registry.artifacts.scanning.source import MIB, MOST_DEPTH, Inflated, Input, Source
from registry.artifacts.scanning.tensors import judge_gguf, judge_npy, judge_safetensors

# What torch.save wrote before 1.6 begins with: its magic number, pickled. Raw numbers follow the fifth pickle.
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
TORCH_PICKLES = 5
HDF5 = b"\x89HDF\r\n\x1a\n"


def scan(source: Source) -> Report:
    """Judge one file. Never raises what the file is to blame for."""
    judge = _Judge()
    judge.context.report.format = judge.look(source, "", 0, "")
    return judge.context.report


class _Judge:
    def __init__(self) -> None:
        self.context = Context(look=self.look)

    def look(self, content: Input, where: str, depth: int, role: str) -> str:
        """Judge a file, or one inside it; its format. Findings go to the report."""
        report = self.context.report
        if depth > MOST_DEPTH:
            report.add(UNSCANNABLE, where, f"files are nested more than {MOST_DEPTH} deep")
            return "unknown"
        found = "unknown"
        try:
            head = content.head(HEAD)
            found = sniff(head, content.size if isinstance(content, Source) else None) or "unknown"
            if (found != "pickle" or role == RAW) and self._walks_as_pickle(content, where):
                return "pickle"
            if role == RAW:
                return "raw"
            self._two_in_one(content, found, where)
            return self._judge(found, content, head, where, depth, role)
        except Unscannable as cannot:
            report.add(UNSCANNABLE, where, str(cannot))
        except Malformed as wrong:
            report.add(UNSCANNABLE, where, f"it is not a sound {found} file: {wrong}")
        except RecursionError:
            report.add(UNSCANNABLE, where, "it is nested too deep")
        return found

    def _judge(self, found: str, content: Input, head: bytes, where: str, depth: int, role: str) -> str:
        context = self.context
        if found in SEALED:
            raise Unscannable(f"{SEALED[found]}.".capitalize() if found != "7z" else f"{SEALED[found]}.")
        if found in COMPRESSED:
            context.look(
                Inflated(found, content, context.budget), inside(where, f"{found} contents"), depth + 1, role
            )
        elif found == "pickle":
            return self._pickles(content, where, role)
        elif found == "zip":
            return judge_zip(content.held(), context, where, depth)
        elif found == "tar":
            judge_tar(content, context, where, depth)
        elif found == "safetensors":
            judge_safetensors(content.held(), context, where)
        elif found == "npy":
            judge_npy(content, context, where)
        elif found == "gguf":
            judge_gguf(content, context, where)
        elif found == "hdf5":
            return judge_hdf5(content, context.report, where)
        elif found == "executable":
            context.report.add(SUSPICIOUS, where, "it is a program, not a model")
        elif found not in HARMLESS:
            return self._closer(content, head, where)
        return found

    def _two_in_one(self, content: Input, found: str, where: str) -> None:
        """What a reader that looks from the end would take for an archive."""
        if isinstance(content, Source) and found != "zip" and any_end_record(content):
            self.context.report.add(SUSPICIOUS, where, "a zip archive hides behind other bytes")

    def _closer(self, content: Input, head: bytes, where: str) -> str:
        """Formats that no first bytes tell: text, JSON, protocol buffers, HDF5 behind a block of the user's."""
        if is_text(head) and (text := self._text(content, head, where)):
            return text
        if head.startswith(b"{L") and b"learner" in head[:200]:
            return "xgboost"
        if any(content.head(at + 8)[at:] == HDF5 for at in (512, 1024, 2048, 4096, 8192)):
            return judge_hdf5(content, self.context.report, where)
        # What may be a graph is read at many places; bytes that begin as none need not be held for that.
        if head[0] in (0x08, 0x0A, 0x12, 0x1A, 0x3A, 0x42):
            held = content.held()
            kind = kind_of(held)
            if kind == "onnx":
                judge_onnx(held, self.context, where)
                return kind
            if kind == "savedmodel":
                judge_saved_model(held, self.context, where)
                return kind
        raise Unscannable("Its format is not known.")

    def _text(self, content: Input, head: bytes, where: str) -> str:
        stream = content.stream()
        kept, size = b"", 0
        while chunk := stream.peek(MIB):
            stream.skip(len(chunk))
            size += len(chunk)
            if not is_text(kept + chunk):
                return ""
            kept = _unfinished(kept + chunk)
        if kept:
            return ""
        if head.startswith(b"tree\n"):
            return "lightgbm"
        if head.lstrip()[:1] not in (b"{", b"[") or size > MOST_JSON:
            return "text"
        try:
            tree = read_json(content)
        except Malformed:
            return "text"
        if isinstance(tree, dict) and "learner" in tree and "version" in tree:
            return "xgboost"
        if isinstance(tree, dict) and "class_name" in tree and "config" in tree:
            judge_keras(tree, self.context.report, where)
            return "keras"
        return "json"

    # ---- pickles

    def _pickles(self, content: Input, where: str, role: str) -> str:
        """Every pickle of a file, one after another. Raises Malformed, Unscannable."""
        stream = content.stream()
        walker = Walker(stream, self.context.report, where, joblib=True, torch=role == TORCH_PICKLE)
        first = self._first(walker)
        legacy = first == TORCH_MAGIC
        walker.torch = walker.torch or legacy
        count = 1
        while not stream.ended() and not (legacy and count >= TORCH_PICKLES):
            before = stream.position
            try:
                walker.pickle()
            except Malformed:
                what = f"bytes that are no pickle follow byte {before}, where it ends"
                self.context.report.add(SUSPICIOUS, where, what)
                break
            count += 1
        if walker.saw_array:
            self._walks_as_pickle(content, where)
        return "torch" if legacy or role == TORCH_PICKLE else "joblib" if walker.saw_array else "pickle"

    def _first(self, walker: Walker) -> object:
        try:
            return walker.pickle()
        except Malformed as wrong:
            raise Malformed(f"it breaks off: {wrong}") from None

    def _walks_as_pickle(self, content: Input, where: str) -> bool:
        """Whether a file that looks like something else is one for an unpickler; then its findings are told.

        Loaders start at the first byte and care for no magic. Most bytes break off at once; text may even name a
        thing by accident, which counts when it is known to be abused, is used, or the pickle comes to its end.
        """
        whole = False
        for joblib in (False, True):
            aside = Report()
            stream = content.stream()
            walker = Walker(stream, aside, where, joblib=joblib, most_line=MOST_GUESSED_LINE)
            stopped = False
            try:
                walker.pickle()
                stopped = True
            except (Malformed, Unscannable):
                pass
            whole = whole or (stopped and stream.ended())
            dangerous = worst(each["verdict"] for each in aside.findings) == MALICIOUS
            abused = bool(walker.unlisted) and (stopped or bool(walker.unlisted & walker.used))
            whole = whole or dangerous or abused
            if dangerous or abused or (stopped and stream.ended()):
                for each in aside.findings:
                    self.context.report.add(each["verdict"], where, each["what"], each["name"])
        return whole


def _unfinished(chunk: bytes) -> bytes:
    """The bytes of a character that is cut off at the end of the chunk."""
    for back in range(1, 4):
        if len(chunk) >= back and chunk[-back] >= 0xC0:
            needed = 2 if chunk[-back] < 0xE0 else 3 if chunk[-back] < 0xF0 else 4
            return chunk[-back:] if needed > back else b""
    return b""
