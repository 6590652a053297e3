"""Models that are files already, and ONNX, whose bytes are the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FORMATS = {
    ".skops": "skops", ".safetensors": "safetensors", ".onnx": "onnx", ".gguf": "gguf", ".pkl": "pickle",
    ".pickle": "pickle", ".joblib": "pickle", ".pt": "pickle", ".pth": "pickle",
}  # fmt: skip
# An ONNX file begins with the first field of ModelProto, ir_version, a small number.
_ONNX_START = b"\x08"


class Onnx:
    name = "onnx"
    format = "onnx"

    def accepts(self, model: object) -> bool:
        if isinstance(model, bytes):
            return model[:1] == _ONNX_START and len(model) > 16
        return type(model).__name__ == "ModelProto" and hasattr(model, "SerializeToString")

    def write(self, model: Any, folder: Path) -> None:
        content = model if isinstance(model, bytes) else model.SerializeToString(deterministic=True)
        (folder / "model.onnx").write_bytes(content)


def format_of(path: Path) -> str:
    """What a file is, or the files of a folder all are, by their suffix; `files` when that does not say."""
    if path.is_file():
        return FORMATS.get(path.suffix.lower(), "files")
    found = {FORMATS[file.suffix.lower()] for file in path.rglob("*") if file.suffix.lower() in FORMATS}
    if "pickle" in found:
        return "pickle"
    return found.pop() if len(found) == 1 else "files"
