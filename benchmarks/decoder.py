"""Measure the cost of the decoder: the network with it, compared with the classifier alone.

    python benchmarks/decoder.py [--size 256] [--batch-size 16] [--seconds 120] [--threads 2]

Training consists of forward, loss, backward, clipping and step on a batch held in memory, and
inference of a forward pass, in the precision and memory layout of `train.py` on this machine. The
two networks take turns and their medians are compared, so that changes in the speed of the machine
affect both. The output is images per second of both, and the cost of the decoder (target at 256
pixels: at most 35 %).
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from brainai.model.network import BrainNet, build_network
from brainai.training.__main__ import open_accelerator
from brainai.training.config import Stage, TrainConfig
from brainai.training.losses import slice_losses

TARGET = 0.35  # of the throughput without a decoder
VARIANTS = {"without decoder": False, "with decoder": True}

Turn = Callable[[], object]


def training_turn(
    network: BrainNet,
    config: TrainConfig,
    autocast: Callable[[], AbstractContextManager],
    images: Tensor,
) -> Turn:
    """Return a function that makes an update like `brainai.training.stages.train_step`."""
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    count, _, height, width = images.shape
    labels = torch.arange(count, device=images.device) % 2
    masks = torch.zeros(count, 1, height, width, device=images.device)
    masks[1::2, :, : height // 4, : width // 4] = 1.0
    has_mask = torch.ones(count, dtype=torch.bool, device=images.device)

    def update() -> None:
        with autocast():
            output = network(images)
        loss = slice_losses(output, labels, masks, has_mask, config.mask_weight).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
        optimizer.step()
        optimizer.zero_grad()

    return update


def inference_turn(
    network: BrainNet, autocast: Callable[[], AbstractContextManager], images: Tensor
) -> Turn:
    """Return a function that makes a forward pass without gradients."""
    network.eval()

    def answer() -> None:
        with torch.inference_mode(), autocast():
            network(images)

    return answer


def compare(turns: dict[str, Turn], seconds: float) -> dict[str, float]:
    """Return the median seconds of each function, run in turn after a warm-up."""
    spent: dict[str, list[float]] = {name: [] for name in turns}
    for turn in turns.values():
        turn()
    started = time.perf_counter()
    while time.perf_counter() - started < seconds or len(spent["with decoder"]) < 3:
        for name, turn in turns.items():
            begin = time.perf_counter()
            turn()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            spent[name].append(time.perf_counter() - begin)
    return {name: statistics.median(times) for name, times in spent.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", default="resnet50")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument(
        "--seconds", type=float, default=120, help="for each of training and inference"
    )
    parser.add_argument("--threads", type=int, help="default: all cores")
    options = parser.parse_args()
    stage = Stage(options.size, epochs=1, lr=1e-4, batch_size=options.batch_size)
    config = TrainConfig(data=Path("unused"), out=Path("unused"), stages=(stage,), pretrained=False)
    accelerator = open_accelerator(config)
    if options.threads:
        torch.set_num_threads(options.threads)
    networks = {
        name: build_network(options.architecture, decoder=decoder).to(
            accelerator.device, memory_format=torch.channels_last
        )
        for name, decoder in VARIANTS.items()
    }
    images = torch.rand(options.batch_size, 3, options.size, options.size)
    images = images.to(accelerator.device, memory_format=torch.channels_last)
    print(f"{options.architecture}, {options.size} pixels, batch {options.batch_size}, ", end="")
    print(f"precision {accelerator.mixed_precision}, {torch.get_num_threads()} threads")
    print("           without decoder  with decoder  cost   (images per second, medians)")
    for kind in ("training", "inference"):
        turns = {
            name: training_turn(network, config, accelerator.autocast, images)
            if kind == "training"
            else inference_turn(network, accelerator.autocast, images)
            for name, network in networks.items()
        }
        medians = compare(turns, options.seconds)
        plain, full = (options.batch_size / medians[name] for name in VARIANTS)
        cost = 1 - full / plain
        verdict = "within" if cost <= TARGET else "above"
        print(
            f"{kind:9s}  {plain:15.1f}  {full:12.1f}  {cost:4.0%}   {verdict} the {TARGET:.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
