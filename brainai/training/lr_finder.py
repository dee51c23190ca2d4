"""The learning-rate finder records the loss while the learning rate rises.

Source: Smith 2015, https://arxiv.org/abs/1506.01186
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from accelerate import Accelerator
from tqdm import tqdm

from brainai.data.files import write_text, write_whole
from brainai.model.network import BrainNet
from brainai.training.checkpoints import Progress
from brainai.training.config import TrainConfig
from brainai.training.distributed import in_main_process
from brainai.training.stages import augmented_batches, open_stage, train_step

LOWEST, HIGHEST = 1e-6, 1.0
SMOOTHING = 0.9
DIVERGED = 4.0  # multiple of the smallest loss at which the search stops


def find_learning_rate(
    accelerator: Accelerator, network: BrainNet, config: TrainConfig, updates: int = 100
) -> float:
    """Raise the learning rate of the first stage from 1e-6 to 1 and plot the loss against it.

    This writes lr_finder.json and figures/lr_finder.png in the run folder. It changes the weights
    of the network, which are of no further use.

    Returns:
        The learning rate at which the smoothed loss falls fastest.
    """
    fitting = open_stage(accelerator, network, config, 0)
    spread = np.array([group["lr"] for group in fitting.optimizer.param_groups])
    rates, losses, smooth = [], [], 0.0
    fitting.network.train()
    for update, lr in enumerate(tqdm(np.geomspace(LOWEST, HIGHEST, updates), "learning rate")):
        if update % fitting.updates == 0:
            progress = Progress(0, update // fitting.updates)
            batches = augmented_batches(accelerator, fitting, config, progress)
        for group, share in zip(fitting.optimizer.param_groups, spread / spread.max(), strict=True):
            group["lr"] = lr * share
        loss = train_step(accelerator, fitting, config, *next(batches), move_schedule=False)
        loss = accelerator.reduce(loss, reduction="mean")  # so that all processes stop together
        smooth = SMOOTHING * smooth + (1 - SMOOTHING) * float(loss)
        rates.append(float(lr))
        losses.append(smooth / (1 - SMOOTHING ** (update + 1)))
        if not np.isfinite(losses[-1]) or losses[-1] > DIVERGED * min(losses):
            break
    best = steepest(rates, losses)
    in_main_process(accelerator, _write, config.out, rates, losses, best)
    return best


def steepest(rates: list[float], losses: list[float]) -> float:
    """Return the rate at which the loss falls fastest on a logarithmic axis.

    Rates above the one of the lowest loss are ignored.
    """
    finite = np.isfinite(losses)
    lowest = int(np.nanargmin(np.where(finite, losses, np.nan)))
    if lowest < 2:
        return rates[0]
    slope = np.gradient(losses[: lowest + 1], np.log(rates[: lowest + 1]))
    return rates[int(np.argmin(slope))]


def _write(run: Path, rates: list[float], losses: list[float], best: float) -> None:
    values = {"lr": rates, "loss": losses, "suggestion": best}
    write_text(run / "lr_finder.json", json.dumps(values, indent=2) + "\n")
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.semilogx(rates, losses)
    axes.axvline(best, linestyle="--", color="black", label=f"falls fastest at {best:.1e}")
    axes.set(xlabel="learning rate of the head", ylabel="smoothed training loss")
    axes.legend()
    with write_whole(run / "figures" / "lr_finder.png") as file:
        figure.savefig(file, dpi=150, format="png")
    plt.close(figure)
