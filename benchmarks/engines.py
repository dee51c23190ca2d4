"""Measure the time of the network with each engine, for a slice and for a batch of eight.

    python -m benchmarks.engines [--model weights] [--write]

The engines take turns, so that changes in the speed of the machine affect all of them, and medians
are reported. ONNX Runtime is included if `onnx` and `onnxruntime` are installed. `--write` writes
the tables into docs/benchmarks.md, where processors with and without bfloat16 have a section each.
"""

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from benchmarks.page import table, write_section
from brainai.inference.classifier import Classifier
from brainai.inference.engine import convert, import_openvino
from brainai.model.answer import has_fast_bfloat16
from brainai.model.folder import INT8, load_model
from brainai.model.network import BrainNet

ROUNDS = 12
BATCH = 8
SLICE = "examples/tumor_frontal.png"


def torch_maps(network: BrainNet, dtype: torch.dtype) -> Callable[[torch.Tensor], object]:
    """Return a function that computes the maps with torch, in a precision."""

    @torch.inference_mode()
    def work(images: torch.Tensor) -> object:
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            return network.maps(images)

    return work


def openvino_maps(model: object, precision: str) -> Callable[[torch.Tensor], object]:
    """Return a function that computes the maps of a model or of its file with OpenVINO."""
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    request = import_openvino().Core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda images: request.infer([images.numpy()])


def onnx_maps(network: BrainNet, size: int) -> Callable[[torch.Tensor], object]:
    """Return a function that computes the maps with ONNX Runtime."""
    import onnxruntime  # noqa: PLC0415

    from brainai.inference.engine import Maps  # noqa: PLC0415

    file = io.BytesIO()
    names = {"input_names": ["images"], "dynamic_axes": {"images": {0: "n"}}}
    torch.onnx.export(Maps(network), torch.zeros(1, 3, size, size), file, dynamo=False, **names)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images.numpy()})


def engines(model: str) -> tuple[dict[str, Callable[[torch.Tensor], object]], int]:
    """Return the maps of a model for every installed engine, by name, and its picture size."""
    network, info = load_model(model)
    network.eval().to(memory_format=torch.channels_last)
    maps = {"torch, float32": torch_maps(network, torch.float32)}
    if has_fast_bfloat16():
        maps["torch, bfloat16"] = torch_maps(network, torch.bfloat16)
    if find_spec("openvino"):
        converted = convert(import_openvino(), network, info.image_size)
        maps["OpenVINO, float32"] = openvino_maps(converted, "f32")
        if has_fast_bfloat16():
            maps["OpenVINO, bfloat16"] = openvino_maps(converted, "bf16")
        if (Path(model) / INT8).is_file():
            maps["OpenVINO, int8"] = openvino_maps(str(Path(model) / INT8), "f32")
    if find_spec("onnxruntime") and find_spec("onnx"):
        maps["ONNX Runtime, float32"] = onnx_maps(network, info.image_size)
    return maps, info.image_size


def milliseconds(works: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median milliseconds of each function, run in turn after a warm-up round."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            times[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def of_network(model: str) -> str:
    """Return a table of the network alone: milliseconds per slice with every engine."""
    maps, size = engines(model)
    columns = {}
    for count in (1, BATCH):
        images = torch.from_numpy(
            np.random.default_rng(0).random((count, 3, size, size), np.float32)
        )
        works = {name: lambda work=work, x=images: work(x) for name, work in maps.items()}
        columns[count] = milliseconds(works)
    rows = [(name, *(f"{columns[count][name] / count:.0f}" for count in columns)) for name in maps]
    return table(("network alone, ms per slice", "one slice", f"batch of {BATCH}"), rows)


def engine_names(model: str) -> list[str]:
    """Return the engines of `Classifier.load` that work with a model here."""
    if find_spec("openvino") is None:
        return ["torch"]
    return ["torch", "openvino", *(["int8"] if (Path(model) / INT8).is_file() else [])]


def of_answers(model: str) -> str:
    """Return a table of complete answers, from the file to mask and heat map."""
    columns = {}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        for engine in engine_names(model):
            classifier = Classifier.load(model, device="cpu", engine=engine)
            columns[engine] = {
                "one": lambda c=classifier: c.predict(SLICE),
                "batch": lambda c=classifier: c.predict_batch([SLICE] * BATCH),
            }
        one, batch = (
            milliseconds({engine: works[kind] for engine, works in columns.items()})
            for kind in ("one", "batch")
        )
    rows = [(name, f"{one[name]:.0f}", f"{batch[name] / BATCH:.0f}") for name in columns]
    return table(("complete answers, ms per slice", "one slice", f"batch of {BATCH}"), rows)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--model", default="weights")
    parser.add_argument("--write", action="store_true", help="write into docs/benchmarks.md")
    given = parser.parse_args()
    tables = [of_network(given.model), of_answers(given.model)]
    print(*tables, sep="\n\n")
    if given.write:
        section = "engines" if has_fast_bfloat16() else "engines without bfloat16"
        write_section(section, "python -m benchmarks.engines --write", tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
