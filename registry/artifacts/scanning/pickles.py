"""Walking a pickle: every opcode followed on a stack of what is known, nothing ever made, called or imported.

Every global has to be on the list (`names.py`); one whose name cannot be told is worse than one that is not on
it. A call of anything but a listed global, a change to a class, an extension code and a persistent id outside
of a torch file are not clean. Protocols 0 to 5, as Python's own unpicklers, C and Python, read them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from registry.artifacts.scanning.machine import MOST_LINE, Machine
from registry.artifacts.scanning.names import judge
from registry.artifacts.scanning.report import CLEAN, MALICIOUS, SUSPICIOUS, Malformed, Report
from registry.artifacts.scanning.source import Stream
from registry.artifacts.scanning.values import (
    MARK,
    NO_TEXT,
    SOMETHING,
    Made,
    Name,
    Table,
    count_of,
    is_dtype,
    is_wrapper,
    layout,
    may_be_text,
)

MOST_DEPTH = 50
MAKERS = {"_reconstructor", "__newobj__"}
LATIN = ("latin1", "latin-1")


class Walker(Machine):
    """One pass over a stream that may hold pickles one after another. `joblib`: arrays may lie in between."""

    def __init__(
        self,
        stream: Stream,
        report: Report,
        where: str,
        *,
        joblib: bool = False,
        torch: bool = False,
        most_line: int = MOST_LINE,
    ) -> None:
        super().__init__(stream, most_line)
        self.report, self.where = report, where
        self.joblib, self.torch = joblib, torch
        self.saw_array = False
        self.used: set[Name] = set()
        self.unlisted: set[Name] = set()
        self._depth = 0
        self._frame_ends = 0

    def pickle(self) -> Any:
        """Follow one pickle to its STOP; what is known of its result. Raises Malformed, Unscannable."""
        self.stack, self.memo, self._frame_ends = [], {}, 0
        steps, read = _STEPS, self.stream.read
        while True:
            code = read(1)[0]
            if code == _STOP:
                return self.pop()
            step = steps[code]
            if step is None:
                raise Malformed(f"0x{code:02x} at byte {self.stream.position - 1} is no opcode")
            step(self)
            if self._frame_ends:
                self._check_frame()

    def note(self, verdict: str, what: str, name: Any = "") -> None:
        """A finding in this pickle."""
        self.report.add(verdict, self.where, what, str(name))

    def _check_frame(self) -> None:
        """C's unpickler drops the rest of a frame that something runs over, and reads on from the file."""
        over = self.stream.position - self._frame_ends
        if over > 0:
            self.note(
                SUSPICIOUS, "something runs over the end of a frame, where loaders disagree on what follows"
            )
        if over >= 0:
            self._frame_ends = 0

    # ---- globals

    def _global(self, module: Any, name: Any, how: str) -> Any:
        if not isinstance(module, str) or not isinstance(name, str):
            if not all(isinstance(each, str) or may_be_text(each) for each in (module, name)):
                raise Malformed("the name of a global is not text")
            self.note(
                MALICIOUS, f"{how} imports a global whose name is computed, so that it cannot be read", "?"
            )
            return SOMETHING
        found = Name(module, name)
        verdict = judge(module, name)
        if verdict == MALICIOUS:
            self.note(MALICIOUS, f"{how} imports {found}, which can run code when the file is loaded", found)
        elif verdict != CLEAN:
            self.note(
                SUSPICIOUS, f"{how} imports {found}, which is not on the list of what models need", found
            )
        if verdict != CLEAN:
            self.unlisted.add(found)
        return found

    def _call(self, target: Any, arguments: Any, how: str) -> Any:
        if not isinstance(target, Name):
            self.note(SUSPICIOUS, f"{how} calls something that is not a global named in the file")
            return SOMETHING
        self.used.add(target)
        if target.name in MAKERS and isinstance(arguments, tuple) and arguments:
            inner = arguments[0]
            return Made(inner, arguments[1:]) if isinstance(inner, Name) else SOMETHING
        if (target.module, target.name) == ("_codecs", "encode") and not (
            isinstance(arguments, tuple) and len(arguments) == 2 and arguments[1] in LATIN
        ):
            self.note(SUSPICIOUS, f"{how} calls {target} for something else than Latin-1", target)
        return Made(target, arguments)

    def _changeable(self, target: Any, how: str) -> None:
        if isinstance(target, Name):
            self.used.add(target)
            self.note(SUSPICIOUS, f"{how} changes {target} itself, for everybody who uses it", target)

    def build(self) -> None:
        state = self.pop()
        target = self.top()
        self._changeable(target, "BUILD")
        if not isinstance(target, Made):
            return
        self.used.add(target.of)
        if isinstance(state, Table):
            target.state.update(state.items)
        elif isinstance(state, tuple):
            target.tuple_state = state
        if is_dtype(target) and isinstance(state, tuple) and layout(target).lies:
            self.note(SUSPICIOUS, "the type of an array contradicts itself, which corrupts memory", target.of)
        if is_wrapper(target):
            self.saw_array = True
            if self.joblib:
                self._array(target, state)

    def _array(self, wrapper: Made, state: Any) -> None:
        """What joblib reads, from the file and past any frame, right after it has built a wrapper."""
        if not isinstance(state, Table):
            raise Malformed("an array's description is none")
        if self.stream.position < self._frame_ends:
            self.note(SUSPICIOUS, "an array begins inside a frame, where loaders disagree on what follows")
        self._frame_ends = 0
        form = layout(wrapper.state.get("dtype"))
        count = count_of(wrapper.state.get("shape"))
        if form.objects:
            if self._depth >= MOST_DEPTH:
                raise Malformed("arrays of objects are nested too deep")
            inner = Walker(self.stream, self.report, self.where)
            inner._depth = self._depth + 1
            inner.pickle()
            self.used |= inner.used
            self.unlisted |= inner.unlisted
        else:
            if wrapper.state.get("numpy_array_alignment_bytes") is not None:
                self.stream.skip(self.stream.read(1)[0])
            self.stream.skip(count * form.size)
        self.pop()
        self.push(Made(Name("numpy", "ndarray")))

    # ---- one method an opcode that does more than push

    def _named_line(self) -> str:
        try:
            return self.text_line().decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("the name of a global is not UTF-8") from None

    def op_global(self) -> None:
        module = self._named_line()
        self.push(self._global(module, self._named_line(), "GLOBAL"))

    def op_stack_global(self) -> None:
        name = self.pop()
        self.push(self._global(self.pop(), name, "STACK_GLOBAL"))

    def op_inst(self) -> None:
        module = self._named_line()
        found = self._global(module, self._named_line(), "INST")
        self.push(self._call(found, tuple(self.to_mark()), "INST"))

    def op_obj(self) -> None:
        found = self.to_mark()
        if not found:
            raise Malformed("OBJ without a class")
        self.push(self._call(found[0], tuple(found[1:]), "OBJ"))

    def op_reduce(self) -> None:
        arguments = self.pop()
        self.push(self._call(self.pop(), arguments, "REDUCE"))

    def op_newobj(self) -> None:
        arguments = self.pop()
        self.push(self._call(self.pop(), arguments, "NEWOBJ"))

    def op_newobj_ex(self) -> None:
        self.pop()
        arguments = self.pop()
        self.push(self._call(self.pop(), arguments, "NEWOBJ_EX"))

    def extension(self, size: int) -> None:
        code = int.from_bytes(self.stream.read(size), "little")
        self.note(
            SUSPICIOUS, f"EXT imports whatever is registered under {code}, which cannot be read here", "?"
        )
        self.push(SOMETHING)

    def persistent(self, told: Any) -> None:
        usual = (
            isinstance(told, tuple)
            and len(told) in (5, 6)
            and told[0] == "storage"
            and isinstance(told[1], Name)
            and told[1].module in ("torch", "torch.storage")
        )
        if not (self.torch and usual):
            self.note(SUSPICIOUS, "a persistent id asks the loader for an object from elsewhere")
        self.push(SOMETHING)

    def op_persid(self) -> None:
        self.text_line()
        self.persistent(None)

    def op_frame(self) -> None:
        if self._frame_ends:
            self.note(SUSPICIOUS, "a frame begins inside another, where loaders disagree on what follows")
        (size,) = struct.unpack("<Q", self.stream.read(8))
        self._frame_ends = self.stream.position + size

    def put_items(self, pairs: list[Any]) -> None:
        target = self.top()
        self._changeable(target, "SETITEM")
        if isinstance(target, Table):
            for key, value in zip(pairs[::2], pairs[1::2], strict=False):
                target.put(key, value)

    def op_setitem(self) -> None:
        value = self.pop()
        self.put_items([self.pop(), value])

    def op_setitems(self) -> None:
        self.put_items(self.to_mark())

    def op_append(self) -> None:
        self.pop()
        self._changeable(self.top(), "APPEND")

    def op_many(self) -> None:
        self.to_mark()
        self._changeable(self.top(), "APPENDS")


_STOP = ord(".")
_STEPS: list[Callable[[Walker], None] | None] = [None] * 256
for _code, _step in {
    b"(": lambda w: w.push(MARK),
    b"0": Walker.op_pop,
    b"1": lambda w: w.to_mark(),
    b"2": lambda w: w.push(w.top()),
    b"F": Walker.op_float,
    b"I": Walker.op_int,
    b"J": lambda w: w.small(4, signed=True),
    b"K": lambda w: w.small(1),
    b"M": lambda w: w.small(2),
    b"L": Walker.op_long,
    b"N": lambda w: w.push(None),
    b"P": Walker.op_persid,
    b"Q": lambda w: w.persistent(w.pop()),
    b"R": Walker.op_reduce,
    b"S": Walker.op_string,
    b"T": lambda w: w.blob(4, text=True),
    b"U": lambda w: w.blob(1, text=True),
    b"V": Walker.op_unicode,
    b"X": lambda w: w.words(4),
    b"a": Walker.op_append,
    b"b": Walker.build,
    b"c": Walker.op_global,
    b"d": Walker.op_dict,
    b"e": Walker.op_many,
    b"g": lambda w: w.recall(w.number()),
    b"h": lambda w: w.recall(w.unsigned(1)),
    b"i": Walker.op_inst,
    b"j": lambda w: w.recall(w.unsigned(4)),
    b"l": Walker.op_list,
    b"]": lambda w: w.push(NO_TEXT),
    b"o": Walker.op_obj,
    b"p": lambda w: w.remember(w.number()),
    b"q": lambda w: w.remember(w.unsigned(1)),
    b"r": lambda w: w.remember(w.unsigned(4)),
    b"s": Walker.op_setitem,
    b"t": lambda w: w.push(tuple(w.to_mark())),
    b")": lambda w: w.push(()),
    b"u": Walker.op_setitems,
    b"G": lambda w: w.skipped(8),
    b"}": lambda w: w.push(Table()),
    b"\x80": Walker.op_proto,
    b"\x81": Walker.op_newobj,
    b"\x82": lambda w: w.extension(1),
    b"\x83": lambda w: w.extension(2),
    b"\x84": lambda w: w.extension(4),
    b"\x85": lambda w: w.tuple_of(1),
    b"\x86": lambda w: w.tuple_of(2),
    b"\x87": lambda w: w.tuple_of(3),
    b"\x88": lambda w: w.push(True),
    b"\x89": lambda w: w.push(False),
    b"\x8a": Walker.op_long1,
    b"\x8b": Walker.op_long4,
    b"B": lambda w: w.blob(4),
    b"C": lambda w: w.blob(1),
    b"\x8c": lambda w: w.words(1),
    b"\x8d": lambda w: w.words(8),
    b"\x8e": lambda w: w.blob(8),
    b"\x8f": lambda w: w.push(NO_TEXT),
    b"\x90": Walker.op_many,
    b"\x91": Walker.op_list,
    b"\x92": Walker.op_newobj_ex,
    b"\x93": Walker.op_stack_global,
    b"\x94": lambda w: w.remember(len(w.memo)),
    b"\x95": Walker.op_frame,
    b"\x96": lambda w: w.blob(8),
    b"\x97": lambda w: w.push(NO_TEXT),
    b"\x98": lambda w: None,
}.items():
    _STEPS[_code[0]] = _step
