"""Paths that mean something else to some program: each a way out of a folder, a device, or a name nobody sees.

`escapes` judges a path without knowing our rules: by what programs that decode, normalise or split it make of it.
"""

from __future__ import annotations

import ntpath
import posixpath
import unicodedata
from urllib.parse import quote, unquote

# Two dots, and what some program takes for two dots.
DOTS = [
    "..", ".", "%2e%2e", "%2E%2E", "%2e.", ".%2e", "%252e%252e", "%25252e%25252e", "%u002e%u002e", "%uff0e%uff0e",
    "%c0%ae%c0%ae", "%c0%2e%c0%2e", "%e0%80%ae%e0%80%ae", "%f0%80%80%ae%f0%80%80%ae", "%ef%bc%8e%ef%bc%8e",
    "\uff0e\uff0e", "\u2024\u2024", "\u2025", "\ufe52\ufe52", ".\uff0e", "..;", "..;x=1", ".;", "..%3b",
    "..%00", "..\x00",
    ".. ", "..\u00a0", "..\u3000", " ..", ".\u200b.", "..\u200b", "\u200d..", "..\u202e", "\ufeff..",
    "..\u00ad", "..%20", "..%09", "..\t",
    "..%0a", "..\n", "..%0d", "..\r", "...", "....", ". .", "..%2500", "..%ef%bb%bf", "..\u180e", ".\u034f.",
]  # fmt: skip
# A slash, and what some program takes for one.
SLASHES = [
    "/", "\\", "%2f", "%2F", "%5c", "%5C", "%252f", "%255c", "%c0%af", "%c1%9c", "%e0%80%af", "%u2215",
    "%u2216", "%ef%bc%8f",
    "\uff0f", "\uff3c", "\u2044", "\u2215", "\u2216", "\u29f8", "\u29f5", "\u29f9", "\ufe68", "//", "/./",
    "\\/", "/\\",
]  # fmt: skip
DEVICES = [
    "CON",
    "NUL",
    "aux",
    "prn",
    "COM1",
    "com9",
    "LPT1",
    "CONIN$",
    "CONOUT$",
    "COM\u00b9",
    "LPT\u00b2",
    "com\u00b3",
]
TARGETS = ["etc/passwd", "x"]


def corpus() -> list[str]:
    """At least 400 forms, each once."""
    forms: list[str] = [
        "",
        "/",
        "\\",
        " ",
        ".",
        "..",
        "~",
        "~root/x",
        "-",
        "a" * 1025,
        "a" * 256,
        "a/" * 600 + "b",
        "../" * 400,
    ]
    forms += [
        f"{dots}{slash}{target}" for dots in DOTS for slash in ("/", "\\", "%2f") for target in TARGETS[:1]
    ]
    forms += [f"a{slash}..{slash}..{slash}x" for slash in SLASHES]
    forms += [f"..{slash}x" for slash in SLASHES]
    forms += [f"{slash}etc{slash}passwd" for slash in SLASHES]
    forms += [f"a/{dots}" for dots in DOTS]
    forms += DOTS
    forms += [
        f"{device}{tail}" for device in DEVICES for tail in ("", ".txt", ".tar.gz", "/x", " .txt", ":", ".")
    ]
    forms += [f"a/{device.lower()}.json" for device in DEVICES]
    # drives, UNC, devices by another way, schemes
    forms += ["C:", "C:x", "C:/x", "c:\\x", "C:%5cx", "\uff23:/x", "C\uff1a/x", "C|/x", "\\\\server\\share\\x",
    "//server/share/x",
              "\\\\?\\C:\\x", "\\\\.\\PhysicalDrive0", "//?/C:/x", "\\??\\C:\\x", "%5c%5cserver%5cshare",
              "/dev/null", "/proc/self/environ"]  # fmt: skip
    for scheme in (
        "file",
        "FILE",
        "s3",
        "http",
        "https",
        "ftp",
        "gs",
        "models",
        "runs",
        "dbfs",
        "jar:file",
        "javascript",
        "data",
        "hdfs",
    ):
        forms += [f"{scheme}:///etc/passwd", f"{scheme}://host/x", f"{scheme}:/x", f"{scheme}%3a//host/x"]
    # characters that hide, turn around, end or split
    forms += [f"a{chr(point)}b" for point in [*range(0x20), 0x7F, *range(0x80, 0xA0)]]
    forms += [f"a{chr(point)}b" for point in (0xAD, 0x34F, 0x61C, 0x115F, 0x17B4, 0x180E, *range(0x200B,
    0x2010), *range(0x2028, 0x202F),
              *range(0x2060, 0x2065), *range(0x2066, 0x2070), 0xFEFF, 0xFFF9, 0xFFFD, 0xFFFE, 0xFFFF, 0xE0001,
              0xE007F, 0xF0000, 0x10FFFF,
              0xE000, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0x0378)]  # fmt: skip
    forms += [
        "\ud83d",
        "\udc80/x",
        "a\udcffb",
        "photo\u202egpj.exe",
        "a/\u0338",
        "\u0300a",
        "a.",
        "a ",
        " a",
        "a./b",
        "a /b",
        "a/ b",
        "a\u3000",
    ]
    # what belongs to an address, a shell or a stream, not to a path
    forms += ["a?b", "a#b", "a;b", "a?../../x", "a#../../x", "a;../../x", "a;/../x", "a::$DATA", "a:stream",
    "a:b/c", "a*b", "a|b", "a<b>", '"a"',
              "a%00.txt", "a%0d%0aX: y", "a%", "a%zz", "a%2", "$(id)", "`id`", "${HOME}/x", "%HOME%",
              "{{7*7}}", "a&b=c", "a=b", "a@b", "a+b", "a,b"]  # fmt: skip
    forms += [
        quote(form, safe="", errors="replace")
        for form in ("../x", "..\\x", "/etc/passwd", "a/../../x", "\x00", "a\x00b")
    ]
    forms += [quote(quote(form, safe=""), safe="") for form in ("../x", "..\\x", "/etc/passwd", "a/../../x")]
    return list(dict.fromkeys(forms))


def readings(path: str) -> set[str]:
    """What programs make of a path that decode it, up to thrice, and fold its characters."""
    found: set[str] = set()
    new = {path}
    while new and len(found) < 200:
        found |= new
        made = set()
        for each in new:
            made.add(unicodedata.normalize("NFKC", each))
            made.add(unquote(each, errors="replace"))
            made.add("".join(c for c in each if unicodedata.category(c) not in ("Cc", "Cf")))
            made.add(each.translate(_LOOKALIKES))
            made.add("/".join(part.split(";")[0] for part in each.split("/")))
            made.add("/".join(part.rstrip(" .") or part.strip(" ") for part in each.split("/")))
        new = made - found
    return found


_LOOKALIKES = str.maketrans(
    {"\u2044": "/", "\u2215": "/", "\u29f8": "/", "\u2216": "\\", "\u29f5": "\\", "\u29f9": "\\"}
)


def escapes(path: str) -> str | None:
    """How some reading of the path leaves its folder, or is no file's name; None for a harmless one."""
    for reading in readings(path):
        if posixpath.normpath(posixpath.join("/top", reading)) != "/top" + posixpath.normpath("/" + reading):
            return f"leaves the folder as {reading!r}"
        if not posixpath.normpath(posixpath.join("/top", reading)).startswith("/top/"):
            return f"is no file below the folder as {reading!r}"
        windows = ntpath.normpath(ntpath.join("C:\\top", reading))
        if not windows.startswith("C:\\top\\") or ntpath.splitdrive(reading)[0]:
            return f"leaves the folder on Windows as {reading!r}"
        if any(unicodedata.category(c) in ("Cc", "Cs") for c in reading):
            return f"holds a control character as {reading!r}"
        for part in reading.replace("\\", "/").split("/"):
            stem = part.split(".")[0].split(":")[0].rstrip().upper()
            if stem in _DEVICES:
                return f"is a device on Windows as {reading!r}"
    return None


_DEVICES = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    "CONIN$",
    "CONOUT$",
    *(f"{name}{n}" for name in ("COM", "LPT") for n in range(1, 10)),
}
