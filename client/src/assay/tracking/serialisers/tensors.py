"""Arrays and state dicts as safetensors: names, types, shapes and numbers, and no code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE_NAME = "model.safetensors"


class Safetensors:
    name = "safetensors"
    format = "safetensors"

    def accepts(self, model: object) -> bool:
        if isinstance(model, Mapping):
            return bool(model) and all(
                isinstance(key, str) and _is_tensor(value) for key, value in model.items()
            )
        return _is_tensor(model)

    def write(self, model: Any, folder: Path) -> None:
        library = importlib.import_module("safetensors.numpy")
        tensors = dict(model) if isinstance(model, Mapping) else {"array": model}
        arrays = {name: _array(tensor) for name, tensor in sorted(tensors.items())}
        (folder / FILE_NAME).write_bytes(library.save(arrays))


def _is_tensor(value: object) -> bool:
    np: Any = sys.modules.get("numpy")
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return True
    return (
        np is not None
        and isinstance(value, np.ndarray)
        and value.dtype.kind in "biuf"
        and value.dtype.itemsize <= 8
    )


def _array(tensor: Any) -> Any:
    """In memory order and this machine's byte order, as the format wants it."""
    np: Any = importlib.import_module("numpy")
    array = tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else tensor
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)).reshape(array.shape)
