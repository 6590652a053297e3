"""A small mail server on a loopback port, which speaks SMTP (RFC 5321) and answers as the test says."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class PostOffice:
    """What it took: (to, message) of each. `answers` replaces what it says to a command (`DATA`, `RCPT`, `END` for the
    end of a message, `HELLO` for the greeting); None hangs up."""

    port: int = 0
    taken: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    answers: dict[str, str | None] = field(default_factory=dict)

    def subjects(self, to: str) -> list[str]:
        return [str(message["Subject"]) for people, message in self.taken if to in people]


class Line(socketserver.StreamRequestHandler):
    """One client."""

    office: PostOffice

    def say(self, command: str, usual: str) -> bool:
        """Answer; False when the connection is over."""
        words = self.office.answers.get(command, usual)
        if words is None:
            return False
        self.wfile.write(f"{words}\r\n".encode())
        return True

    def handle(self) -> None:
        to: list[str] = []
        if not self.say("HELLO", "220 post office"):
            return
        while line := self.rfile.readline():
            command = line.decode().strip()
            verb = command[:4].upper()
            if verb == "QUIT":
                self.say("QUIT", "221 bye")
                return
            if verb == "RCPT":
                to.append(command.partition("<")[2].partition(">")[0])
            if verb != "DATA":
                if not self.say(verb, "250 ok"):
                    return
                continue
            if not self.say("DATA", "354 go on"):
                return
            if self.office.answers.get("DATA", "354").startswith("354"):  # type: ignore[union-attr]
                body = self.letter()
                if not self.say("END", "250 taken"):
                    return
                if self.office.answers.get("END", "250").startswith("250"):  # type: ignore[union-attr]
                    self.office.taken.append((to, message_from_bytes(body, policy=policy.default)))
            to = []

    def letter(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)


@contextmanager
def open_office() -> Iterator[PostOffice]:
    """A server, until the block ends."""
    office = PostOffice()
    handler = type("ItsLine", (Line,), {"office": office})
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    office.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield office
    finally:
        server.shutdown()
        server.server_close()
