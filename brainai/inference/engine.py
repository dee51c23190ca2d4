"""The network compiled for the processor that it runs on, where OpenVINO is installed.

Body and decoder alone are compiled (`BrainNet.maps`): scores, heat map and mask follow from them in
torch, as they do without OpenVINO. What is compiled is kept in a cache folder of the user.
"""

import os
import shutil
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeAlias

import numpy as np
import platformdirs
import torch
from torch import Tensor, nn

from brainai.data.files import write_folder
from brainai.errors import ConfigError, StorageError
from brainai.model.answer import has_fast_bfloat16
from brainai.model.folder import ModelInfo
from brainai.model.network import BrainNet

Engine: TypeAlias = Literal["auto", "torch", "openvino"]
ENGINES = ("auto", "torch", "openvino")
VARIABLE = "BRAINAI_ENGINE"
TOLERANCE = 0.01  # of the largest value of a map, in float32: rounding moves them by 0.0005
MODEL = "maps.xml"  # beside it lies maps.bin with the weights


class CompiledNet(BrainNet):
    """A `BrainNet` whose maps OpenVINO computes, for inference on the CPU."""

    def __init__(self, network: BrainNet, model: Any):
        super().__init__(network.classifier, network.decoder)
        self._request = model.create_infer_request()
        self._lock = Lock()  # a request holds one input; every core works for it

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        with self._lock:
            found = self._request.infer([np.ascontiguousarray(images.numpy())])
        final, *mask_logits = map(torch.from_numpy, found.values())
        return final, mask_logits[0] if mask_logits else None


def wanted_engine() -> str:
    """The engine that BRAINAI_ENGINE names; `auto` where it names none."""
    return os.environ.get(VARIABLE, "auto")


def with_engine(network: BrainNet, info: ModelInfo, engine: str) -> BrainNet:
    """The network as it is, or compiled.

    Args:
        network: on the CPU, in eval mode.
        engine: `auto` compiles where OpenVINO is installed and can, `openvino` insists on it.
    Raises:
        ConfigError: no such engine, or OpenVINO is asked for and missing, or cannot compile it.
    """
    if engine not in ENGINES:
        raise ConfigError(f"{VARIABLE}: expected one of {', '.join(ENGINES)}, found {engine!r}.")
    if engine == "torch" or (engine == "auto" and find_spec("openvino") is None):
        return network
    try:
        return _compiled(network, info)
    except (ImportError, RuntimeError) as error:  # OpenVINO's own are RuntimeErrors
        if engine == "auto":
            return network
        raise ConfigError(
            f"{VARIABLE}: expected a network that OpenVINO can compile, and OpenVINO itself (pip "
            f"install openvino); found neither ({type(error).__name__}). Use torch."
        ) from error


def _compiled(network: BrainNet, info: ModelInfo) -> CompiledNet:
    openvino = import_module("openvino")
    core = openvino.Core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if has_fast_bfloat16() else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    kept = _place(info, openvino.__version__)
    if (kept / MODEL).is_file():
        try:
            return CompiledNet(network, core.compile_model(str(kept / MODEL), "CPU", settings))
        except RuntimeError:  # damaged: made anew below
            shutil.rmtree(kept, ignore_errors=True)
    model = convert(openvino, network, info.image_size)
    exact = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    _check(network, CompiledNet(network, exact), info.image_size)
    try:
        with write_folder(kept) as folder:
            openvino.save_model(model, str(folder / MODEL), compress_to_fp16=False)
    except StorageError:
        pass  # a read-only home: compiled anew at every start
    return CompiledNet(network, core.compile_model(model, "CPU", settings))


def _place(info: ModelInfo, version: str) -> Path:
    """The folder of a model compiled by a version of OpenVINO."""
    name = f"{info.revision}-{info.image_size}-openvino-{version.split('-')[0]}"
    return platformdirs.user_cache_path("brainai") / "engines" / name


class Maps(nn.Module):
    def __init__(self, network: BrainNet):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(found for found in self.network.maps(images) if found is not None)


@torch.inference_mode()
def convert(openvino: Any, network: BrainNet, size: int) -> Any:
    shape = [3, size, size]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's tracer, on shapes that do not change
        return openvino.convert_model(
            Maps(network).eval(), example_input=torch.zeros(1, *shape), input=[-1, *shape]
        )


@torch.inference_mode()
def _check(network: BrainNet, compiled: BrainNet, size: int) -> None:
    """Raises RuntimeError where the compiled network gives other maps than torch."""
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for own, other in zip(network.maps(images), compiled.maps(images), strict=True):
        if own is not None and (own - other).abs().max() > TOLERANCE * own.abs().max():
            raise RuntimeError("OpenVINO gives other maps than torch")
