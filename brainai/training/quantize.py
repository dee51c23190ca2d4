"""Quantize the network of a model folder to 8-bit integers, for processors without bfloat16.

    python -m brainai.training.quantize --model weights --data DATASET

The ranges of the network's values are measured on FLAIR slices of `train`. The quantized network is
then compared on `valid` with the network as OpenVINO computes it on this processor: in bfloat16 if
the processor has it, else in float32. It is kept as int8.xml and int8.bin in the model folder
(`brainai.inference.engine`) if none of `COMPARED`, over all slices, falls by more than
`LARGEST_LOSS`. The figures of each source are printed, but decide nothing. The package nncf is
required.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import torch

from brainai.command_line import run_command
from brainai.data.augment import to_input
from brainai.data.files import storage_error
from brainai.data.store import Store, open_store
from brainai.errors import ConfigError
from brainai.evaluation.intervals import summarize
from brainai.evaluation.names import FIGURE_NAMES
from brainai.evaluation.score import score_split, split_rows
from brainai.inference.engine import (
    compile_int8,
    convert,
    import_openvino,
    with_engine,
    write_int8,
)
from brainai.model.folder import INT8, ModelInfo, load_model
from brainai.model.network import BrainNet

OF_EACH_SOURCE = 75  # slices, so that no source decides the ranges alone
FLOAT_CONVOLUTIONS = 3  # the last ones draw the outline, and cost a tenth of the time
LARGEST_LOSS = 0.003  # of a figure on all slices of `valid`
COMPARED = ("auroc", "dice", "mask_dice")  # the last one only if the network has a decoder


@dataclass(frozen=True)
class Quantize:
    """Write int8.xml and int8.bin into a model folder, if the network stays as good."""

    data: Path
    """dataset folder"""
    model: Path = Path("weights")
    """model folder"""


def choose_slices(store: Store, rows: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return up to `OF_EACH_SOURCE` random rows of each source, sorted, `[K]`."""
    sources = np.array([store.records[row].source for row in rows])
    generator = np.random.default_rng(seed)
    chosen = [
        generator.permutation(rows[sources == source])[:OF_EACH_SOURCE]
        for source in np.unique(sources)
    ]
    return np.sort(np.concatenate(chosen))


def quantize(network: BrainNet, info: ModelInfo, flair: np.ndarray) -> Any:
    """Return the OpenVINO model of the network's maps in 8-bit integers.

    Args:
        network: the network in full precision, in eval mode.
        flair: slices to measure the ranges of values on, `[N, 1, S, S]` uint8.
    """
    openvino, nncf = import_openvino(), import_module("nncf")
    advanced = import_module("nncf.quantization.advanced_parameters")
    ranges = import_module("nncf.quantization.range_estimator").RangeEstimatorParametersSet
    model = convert(openvino, network, info.image_size)
    inputs = to_input(torch.from_numpy(flair), info.mean, info.std).numpy()
    convolutions = [
        operation.get_friendly_name()
        for operation in model.get_ordered_ops()
        if operation.get_type_name() == "Convolution"
    ]
    kept = convolutions[-FLOAT_CONVOLUTIONS:] if info.decoder else []
    return nncf.quantize(
        model,
        nncf.Dataset([each[None] for each in inputs]),
        subset_size=len(inputs),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=kept) if kept else None,
        # NNCF takes the mean of the largest values instead, which loses more on `valid`.
        advanced_parameters=advanced.AdvancedQuantizationParameters(
            activations_range_estimator_params=ranges.MINMAX
        ),
    )


def figures_of(network: BrainNet, info: ModelInfo, data: Path) -> dict[str, dict[str, float]]:
    """Return the figures of `COMPARED` on `valid`, for all slices and for each source.

    `mask_dice` is left out if the network has no decoder. Undefined figures are NaN.
    """
    scores = score_split(network, info, data, "valid", device="cpu")
    summary = summarize(scores, info.threshold, resamples=1)
    groups = {"all": summary["all"]} | summary["source"]
    return {
        group: {
            name: of["figures"][name]["value"]
            for name in COMPARED
            if info.decoder or name != "mask_dice"
        }
        for group, of in groups.items()
    }


def losses(
    before: dict[str, dict[str, float]], after: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """Return by how much each figure of each group fell."""
    return {
        group: {name: figures[name] - after[group][name] for name in figures}
        for group, figures in before.items()
    }


def check_losses(before: dict[str, dict[str, float]], after: dict[str, dict[str, float]]) -> None:
    """Check that the network is as good as before on all slices of `valid`.

    Raises:
        ConfigError: a figure falls by more than `LARGEST_LOSS`, or is undefined.
    """
    too_large = [
        f"{FIGURE_NAMES[name]}: {loss:.4f}"
        for name, loss in losses(before, after)["all"].items()
        if not loss <= LARGEST_LOSS  # also true of NaN
    ]
    if too_large:
        raise ConfigError(
            f"Expected figures on `valid` that fall by at most {LARGEST_LOSS}, found "
            f"{', '.join(too_large)}. Nothing was written: use this model without int8."
        )


def check_writable(folder: Path) -> None:
    """Check that a file can be written into a model folder, before minutes of work.

    Raises:
        StorageError: the folder cannot be written to.
    """
    try:
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise storage_error(error, folder / INT8) from error


def run(options: Quantize, _: Sequence[str]) -> None:
    """Quantize, compare, and write.

    Raises:
        ConfigError: nncf is not installed, or a figure on `valid` falls by more than
            `LARGEST_LOSS` or is undefined; nothing is written then.
        StorageError: the disk is full, or the model folder cannot be written to.
    """
    if find_spec("nncf") is None:
        raise ConfigError(
            "The package nncf is required and not installed. Run `pip install brainai[int8]`."
        )
    network, info = load_model(options.model)
    check_writable(options.model)
    store = open_store(options.data, info.image_size)
    rows = choose_slices(store, split_rows(store, "train", options.data))
    model = quantize(network, info, store.read(rows)[:, :1])
    after = figures_of(compile_int8(network, model), info, options.data)
    before = figures_of(with_engine(network, info, "openvino", options.model), info, options.data)
    for group, figures in before.items():
        for name, value in figures.items():
            print(f"{group:12s} {FIGURE_NAMES[name]:32s} {value:.4f} -> {after[group][name]:.4f}")
    check_losses(before, after)
    write_int8(model, options.model)
    print(f"written: {options.model / INT8}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Return 0, or 2 after a one-line error message."""
    return run_command(Quantize, run, arguments, "python -m brainai.training.quantize")


if __name__ == "__main__":
    sys.exit(main())
