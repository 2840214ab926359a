"""Exported programs, ready to run: (N, C, H, W) uint8 pixels on the CPU -> (N, K) float32 logits on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass

from cifar_tune.errors import CheckpointError, DeviceError
from cifar_tune.inspection.export_format import INSTALL_ONNX, ONNX, PROGRAM
from cifar_tune.training.device import find_device

Logits: TypeAlias = Callable[[Tensor], Tensor]


def load_program(file: Path, device: str | torch.device) -> Logits:
    """Returns a program of torch.export on the device. Raises DeviceError where there is none such."""
    place = find_device(device)
    program = torch.export.load(file)
    network = (program if place.type == "cpu" else move_to_device_pass(program, str(place))).module()

    @torch.inference_mode()
    def logits(images: Tensor) -> Tensor:
        found: Tensor = network(images.to(place))
        return found.cpu()

    return logits


def load_onnx(file: Path, device: str | torch.device) -> Logits:
    """Returns a model of ONNX in ONNX Runtime; `auto` is a GPU where the installed runtime has one.

    Raises:
        CheckpointError: ONNX Runtime is not installed, or cannot read the file.
        DeviceError: the installed ONNX Runtime has no such device.
    """
    session = _session(file, str(device))
    [taken], [given] = session.get_inputs(), session.get_outputs()
    return lambda images: torch.from_numpy(session.run([given.name], {taken.name: images.numpy()})[0])


LOADERS: dict[str, Callable[[Path, str | torch.device], Logits]] = {PROGRAM: load_program, ONNX: load_onnx}
"""By name of file."""


def _session(file: Path, device: str) -> Any:
    """Returns the ONNX file, ready to run; see `load_onnx`."""
    try:
        import onnxruntime
    except ImportError:
        raise CheckpointError(f"{file}: ONNX Runtime is not installed: {INSTALL_ONNX}") from None
    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    present = onnxruntime.get_available_providers()
    kind, _, index = device.partition(":")
    wanted = {"auto": [cuda, cpu] if cuda in present else [cpu], "cuda": [cuda], "cpu": [cpu]}.get(kind, [kind])
    if wanted[0] not in present:
        raise DeviceError(f"device {device} is not there for ONNX; the installed ONNX Runtime has {', '.join(present)}")
    providers = [(name, {"device_id": index}) if index else name for name in wanted]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(file, options, providers=providers)
    # ONNX Runtime's errors share no base class: InvalidProtobuf, InvalidGraph, NoSuchFile, Fail, ...
    except Exception as error:
        raise CheckpointError(f"{file} cannot be read by ONNX Runtime: {error}") from None
