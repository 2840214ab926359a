"""What an exported folder consists of: its formats, its files, and what was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cifar_tune.layout import MODEL_FILE

FORMAT = 1
CONFIG, CARD = "config.json", "README.md"
SAFETENSORS, TERNARY, PROGRAM, ONNX = MODEL_FILE, "model.ternary.safetensors", "model.pt2", "model.onnx"
PREFERRED = SAFETENSORS, TERNARY, ONNX, PROGRAM
"""Which file of a folder is used where none is named."""

CARRIES_CODE = frozenset({PROGRAM})
"""Reading these runs code that their author chose: `torch.export.load` unpickles, and hands strings to sympy's eval."""

Format = Literal["safetensors", "ternary", "torch_export", "onnx"]
FILES: Mapping[Format, str] = {"safetensors": SAFETENSORS, "ternary": TERNARY, "torch_export": PROGRAM, "onnx": ONNX}

PROGRAMS: tuple[Format, ...] = ("torch_export", "onnx")
"""Formats that compute by other code than ours, so that only images can show whether they say the same."""

INSTALL_ONNX = "pip install onnx onnxruntime onnxscript"


@dataclass(frozen=True)
class Written:
    """One file of an exported model.

    difference: the largest one between its logits and the network's, over `images` real images; None for weights,
    which were read back bit for bit.
    """

    format: Format
    file: str
    sha256: str
    bytes: int
    difference: float | None
    images: int
