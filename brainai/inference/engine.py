"""Compile the network for the CPU with OpenVINO, if it is installed.

Only encoder and decoder are compiled (`BrainNet.maps`). Scores, heat map and mask are computed from
their output in torch, as without OpenVINO. The network is converted at the first start and kept in
the user's cache folder. In 8-bit integers it must come with the model folder, because the ranges of
its values are measured on scans (`brainai.training.quantize`).
"""

import hashlib
import os
import platform
import shutil
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import platformdirs
import torch
from torch import Tensor, nn

from brainai.data.files import storage_error, write_folder
from brainai.errors import ConfigError, StorageError
from brainai.model.answer import has_fast_bfloat16
from brainai.model.folder import DECODER, INT8, WEIGHTS, ModelInfo
from brainai.model.network import BrainNet
from brainai.model.revision import hash_of

Engine: TypeAlias = Literal["auto", "torch", "openvino", "int8"]
ENGINES = ("auto", "torch", "openvino", "int8")
VARIABLE = "BRAINAI_ENGINE"
FAILED = {
    "openvino": f"{VARIABLE}: expected OpenVINO and a network that it can compile, found that this "
    "fails ({}). Install it with `pip install openvino`, or use torch.",
    "int8": f"{VARIABLE}: expected OpenVINO and a model folder with {INT8} made from its weights, "
    "found that this fails ({}). Make it with `python -m brainai.training.quantize`, or use torch.",
}
TOLERANCE = 0.01  # fraction of a map's largest value; float32 rounding changes about 0.0005
KEPT = 3  # compiled networks in the cache; each takes about 100 MB
MODEL = "maps.xml"  # the weights are in maps.bin, in the same folder
MADE_FROM = ["brainai", "made_from"]  # where int8.xml holds `hash_for_int8` of its folder


class CompiledNet(BrainNet):
    """A `BrainNet` whose maps are computed by OpenVINO, for inference on the CPU."""

    def __init__(self, network: BrainNet, model: Any):
        super().__init__(network.classifier, network.decoder)
        self._request = model.create_infer_request()
        self._lock = Lock()  # a request holds a single input, and uses all cores for it

    @torch.inference_mode()
    def release_weights(self, size: int) -> "CompiledNet":
        """Free torch's copy of the weights that only `maps` reads, and return this network.

        Args:
            size: a picture size that the network accepts.
        """
        final, _ = self.maps(torch.zeros(1, 3, size, size))
        kept: set[nn.Module] = {self.classifier}
        hooks = [
            module.register_forward_hook(lambda module, *_: kept.add(module))
            for module in self.classifier.modules()
        ]
        self.classifier.forward_head(final)
        for hook in hooks:
            hook.remove()
        for module in set(self.modules()) - kept:
            for tensor in (*module.parameters(False), *module.buffers(False)):
                tensor.data = tensor.new_empty(0)
        return self

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        with self._lock:
            outputs = self._request.infer([np.ascontiguousarray(images.numpy())])
        final, *mask_logits = map(torch.from_numpy, outputs.values())
        return final, mask_logits[0] if mask_logits else None


def wanted_engine() -> str:
    """Return the engine that BRAINAI_ENGINE names, by default `auto`."""
    return os.environ.get(VARIABLE, "auto")


def with_engine(network: BrainNet, info: ModelInfo, engine: str, folder: Path) -> BrainNet:
    """Return the network, compiled if the engine asks for it. Do not use the argument after that.

    Args:
        network: the network of the model folder, on the CPU, in eval mode.
        engine: `torch` returns the network unchanged; `openvino` compiles it; `int8` compiles its
            form in 8-bit integers, which the folder must hold. `auto` takes the fastest one: int8
            on an x86 processor without fast bfloat16 if the folder holds it, else OpenVINO, or
            torch if OpenVINO is not installed or cannot compile the network.
        folder: the model folder.
    Raises:
        ConfigError: the engine is unknown, or it was named and does not work.
    """
    if engine not in ENGINES:
        raise ConfigError(f"{VARIABLE}: expected one of {', '.join(ENGINES)}, found {engine!r}.")
    if engine == "torch" or (engine == "auto" and find_spec("openvino") is None):
        return network
    for name in (engine,) if engine != "auto" else _fastest():
        try:
            compiled = _in_int8(network, folder) if name == "int8" else _compiled(network, info)
            return compiled.release_weights(info.image_size)
        except (ImportError, RuntimeError) as error:  # OpenVINO raises RuntimeErrors
            if engine != "auto":
                raise ConfigError(FAILED[engine].format(type(error).__name__)) from error
    return network


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which would report each conversion to Google.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", cast(Any, None))  # now nothing can import it
    return import_module("openvino")


def _fastest() -> tuple[str, ...]:
    """Return the compiled engines to try, the fastest first. On ARM, int8 was never measured."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return ("int8", "openvino") if x86 and not has_fast_bfloat16() else ("openvino",)


def hash_for_int8(folder: Path) -> str:
    """Return a hash of the files that int8.xml must fit: the weights, and its own int8.bin."""
    files = (folder / WEIGHTS, folder / DECODER, (folder / INT8).with_suffix(".bin"))
    return hashlib.sha256("".join(map(hash_of, files)).encode()).hexdigest()


def write_int8(model: Any, folder: Path) -> None:
    """Write a quantized OpenVINO model of the maps into its model folder, as int8.xml and int8.bin.

    int8.xml comes last and holds a hash of the other files, so that files of different models are
    never used together.

    Raises:
        StorageError: the disk is full, or the folder cannot be written to.
    """
    openvino = import_openvino()
    try:
        with TemporaryDirectory(dir=folder) as partial:
            written = Path(partial) / INT8
            openvino.save_model(model, str(written), compress_to_fp16=False)
            written.with_suffix(".bin").replace((folder / INT8).with_suffix(".bin"))
            model.set_rt_info(hash_for_int8(folder), MADE_FROM)
            openvino.save_model(model, str(written), compress_to_fp16=False)
            written.replace(folder / INT8)
    except (OSError, RuntimeError) as error:  # OpenVINO raises RuntimeErrors
        raise storage_error(error, folder / INT8) from error


def _settings(precision: str) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,  # else several processes would share the first cores
    }


def _in_int8(network: BrainNet, folder: Path) -> CompiledNet:
    """Compile int8.xml of a model folder.

    Raises:
        RuntimeError: the file is missing or damaged, or was not made from these weights.
    """
    core = import_openvino().Core()
    model = core.read_model(str(folder / INT8))
    if not model.has_rt_info(MADE_FROM) or (
        model.get_rt_info(MADE_FROM).astype(str) != hash_for_int8(folder)
    ):
        raise RuntimeError(f"{INT8} is not from the weights of its folder")
    return compile_int8(network, model)


def compile_int8(network: BrainNet, model: Any) -> CompiledNet:
    """Return the network with a quantized OpenVINO model of its maps."""
    core = import_openvino().Core()
    return CompiledNet(network, core.compile_model(model, "CPU", _settings("f32")))


def _compiled(network: BrainNet, info: ModelInfo) -> CompiledNet:
    openvino = import_openvino()
    core = openvino.Core()
    settings = _settings("bf16" if has_fast_bfloat16() else "f32")
    cache = _cache_folder(info, openvino.__version__)
    if (cache / MODEL).is_file():
        try:
            return CompiledNet(network, core.compile_model(str(cache / MODEL), "CPU", settings))
        except RuntimeError:  # a damaged file is written again below
            shutil.rmtree(cache, ignore_errors=True)
    model = convert(openvino, network, info.image_size)
    exact = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    _check(network, CompiledNet(network, exact), info.image_size)
    try:
        with write_folder(cache) as folder:
            openvino.save_model(model, str(folder / MODEL), compress_to_fp16=False)
        _delete_old(cache.parent)
    except StorageError:
        pass  # with a read-only cache folder, every start converts the network again
    return CompiledNet(network, core.compile_model(model, "CPU", settings))


def _cache_folder(info: ModelInfo, version: str) -> Path:
    """Return the cache folder of a model converted by a version of OpenVINO."""
    name = f"{info.revision}-{info.image_size}-openvino-{version.split('-')[0]}"
    return platformdirs.user_cache_path("brainai") / "engines" / name


def _delete_old(engines: Path) -> None:
    """Delete the compiled networks of a cache folder except the newest ones.

    Another process may delete them too, or use them. Then they are deleted at a later start.
    """
    with suppress(OSError):
        folders = sorted(engines.glob("*-openvino-*"), key=lambda folder: folder.stat().st_mtime)
        for folder in folders[:-KEPT]:
            shutil.rmtree(folder, ignore_errors=True)


class Maps(nn.Module):
    """`BrainNet.maps` as a module that OpenVINO can trace."""

    def __init__(self, network: BrainNet):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(output for output in self.network.maps(images) if output is not None)


@torch.inference_mode()
def convert(openvino: Any, network: BrainNet, size: int) -> Any:
    """Return the OpenVINO model of the network's maps, for pictures of `size` pixels."""
    shape = [3, size, size]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's tracer warns about shapes that never change
        return openvino.convert_model(
            Maps(network).eval(), example_input=torch.zeros(1, *shape), input=[-1, *shape]
        )


@torch.inference_mode()
def _check(network: BrainNet, compiled: BrainNet, size: int) -> None:
    """Check that the compiled network computes the same maps as torch.

    Raises:
        RuntimeError: the maps differ.
    """
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for expected, actual in zip(network.maps(images), compiled.maps(images), strict=True):
        if expected is None:
            continue
        if (expected - actual).abs().max() > TOLERANCE * expected.abs().max():
            raise RuntimeError("OpenVINO computes other maps than torch")
