"""What format bytes are of: told by what they begin with, never by a name."""

from __future__ import annotations

import re
import struct
import zlib

HEAD = 4096
MAGIC: list[tuple[bytes, str]] = [
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08", "zip"),
    (b"PK00PK\x03\x04", "zip"),
    (b"GGUF", "gguf"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"\x93NUMPY", "npy"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x5d\x00\x00", "lzma"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy"),
    (b"ZF0x", "joblib-zfile"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF87a", "image"),
    (b"GIF89a", "image"),
    (b"PAR1", "parquet"),
    (b"ARROW1\x00\x00", "arrow"),
    (b"MZ", "executable"),
    (b"\x7fELF", "executable"),
    (b"\xca\xfe\xba\xbe", "executable"),
    (b"\xcf\xfa\xed\xfe", "executable"),
    (b"\xfe\xed\xfa\xcf", "executable"),
]
# Formats that hold numbers and words only, as far as what they begin with tells.
HARMLESS = {"image", "parquet", "arrow", "empty"}
# What cannot be looked into. Its reader is not in the standard library, or nobody should need it.
SEALED = {
    "7z": "7z archives are not looked into",
    "rar": "RAR archives are not looked into",
    "lz4": "bytes compressed by lz4 are not looked into",
    "zstd": "bytes compressed by zstd are not looked into",
    "snappy": "bytes compressed by snappy are not looked into",
    "joblib-zfile": "files written by joblib before 0.10 are not looked into",
}
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")
COMPRESSED = {"gzip", "bz2", "xz", "lzma", "zlib"}


def sniff(head: bytes, size: int | None) -> str:
    """The format that the bytes begin as; "" when only a closer look can tell (text, JSON, protobuf, a pickle
    without header). `size` in bytes, where it is known."""
    if not head:
        return "empty"
    for magic, name in MAGIC:
        if head.startswith(magic):
            return name
    if len(head) >= 2 and head[0] == 0x80 and head[1] <= 5:
        return "pickle"
    if _is_safetensors(head, size):
        return "safetensors"
    if _is_tar(head):
        return "tar"
    return "zlib" if _is_zlib(head) else ""


def _is_zlib(head: bytes) -> bool:
    """Two bytes are no magic: what follows has to decompress, too."""
    if len(head) < 6 or head[0] & 0x0F != 8 or head[0] >> 4 > 7 or int.from_bytes(head[:2], "big") % 31:
        return False
    try:
        zlib.decompressobj().decompress(head, 1024)
    except zlib.error:
        return False
    return True


def _is_safetensors(head: bytes, size: int | None) -> bool:
    if len(head) < 9 or head[8:9] != b"{":
        return False
    (length,) = struct.unpack("<Q", head[:8])
    return bool(2 <= length <= 2**40 and (size is None or length < 2**32 or length + 8 <= size))


def _is_tar(head: bytes) -> bool:
    if len(head) < 512:
        return False
    if head[257:262] == b"ustar":
        return True
    return bool(head[0]) and tar_sum_is_right(head[:512])


def tar_sum_is_right(block: bytes) -> bool:
    """Whether a tar header's checksum holds; before 1988 it was all that told one."""
    try:
        told = int(block[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return told == sum(block[:148]) + 8 * 32 + sum(block[156:512])


def is_text(chunk: bytes) -> bool:
    """Whether bytes read as UTF-8 text without control characters; a character may be cut off at the end."""
    try:
        text = chunk.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(chunk) - 3 or error.reason != "unexpected end of data":
            return False
        text = chunk[: error.start].decode("utf-8")
    return CONTROLS.search(text) is None
