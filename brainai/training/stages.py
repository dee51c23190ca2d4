"""The training loop of one stage, without callbacks."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from brainai.data.augment import CARVE_MIX, augment, carve_mix, random_table, to_input
from brainai.data.dataset import SPLITS
from brainai.data.images import MEAN, STD
from brainai.data.store import Store, open_store
from brainai.errors import BrainAIError, DataError
from brainai.evaluation.metrics import slice_figures
from brainai.evaluation.valid import judge
from brainai.model.drop_path import paths, set_draws
from brainai.model.groups import parameter_groups, set_trainable
from brainai.model.network import BrainNet
from brainai.training.batches import (
    SKIPPING,
    draw_donors,
    epoch_rows,
    epoch_seed,
    open_loader,
    rows_of,
    slice_weights,
    train_batches,
)
from brainai.training.checkpoints import Progress, log_epoch, save_best, save_checkpoint
from brainai.training.config import Stage, TrainConfig
from brainai.training.distributed import in_main_process, main_process_first
from brainai.training.losses import slice_losses
from brainai.training.validation import predict_valid


@dataclass(frozen=True)
class Fitting:
    """A prepared stage: its data, and the objects that Accelerate has wrapped."""

    stage: Stage
    store: Store
    network: torch.nn.Module  # the wrapper around the network given to `open_stage`
    optimizer: torch.optim.Optimizer
    schedule: OneCycleLR
    updates: int  # per epoch
    ema: AveragedModel | None  # EMA of the weights; if there is one, it is validated and kept


def open_stage(
    accelerator: Accelerator, network: BrainNet, config: TrainConfig, index: int
) -> Fitting:
    """Freeze layers, build the optimizer, and wrap the network for a stage.

    Every stage wraps the network anew, because a wrapper made while the encoder was frozen would
    never synchronize the gradients of the encoder.

    Args:
        index: number of the stage, from 0.
    Raises:
        DataError: there are too few slices, see `check_splits`.
    """
    stage = config.stages[index]
    open_this_store = partial(
        open_store, config.data, stage.image_size, progress=accelerator.is_main_process
    )
    store = main_process_first(accelerator, open_this_store)
    set_trainable(network, stage.train)
    groups = parameter_groups(network, stage.lr, stage.lr_spread, config.weight_decay)
    rows = epoch_rows(store.records, config.slices_per_case, seed=0)
    check_splits(store, config.data, stage.batch_size, len(rows))
    updates = len(rows) // stage.batch_size
    network.to(accelerator.device)  # before the EMA copies it, so that both are on one device
    ema = None
    if config.average:
        ema = AveragedModel(
            network, multi_avg_fn=get_ema_multi_avg_fn(config.average), use_buffers=True
        )
    wrapped, optimizer = accelerator.prepare(network, AdamW(groups, fused=True))
    total = stage.epochs * updates
    schedule = OneCycleLR(
        optimizer.optimizer,
        max_lr=[group["lr"] for group in groups],  # a single number would give all groups one rate
        total_steps=total,
        # With a warm-up of exactly one update, OneCycleLR divides by zero.
        pct_start=config.warm_up if config.warm_up * total != 1 else 1.5 / total,
    )
    return Fitting(stage, store, wrapped, optimizer, schedule, updates, ema)


def fit_stage(
    accelerator: Accelerator,
    network: BrainNet,
    config: TrainConfig,
    progress: Progress,
    saved: dict | None = None,
) -> Progress:
    """Train the stage that `progress` names to its end, with a checkpoint after every epoch.

    Args:
        saved: state dicts of a checkpoint to resume from, written during this stage.
    Returns:
        Progress at the start of the next stage.
    Raises:
        BrainAIError: the loss is no longer finite, or the data set has too few slices.
    """
    fitting = open_stage(accelerator, network, config, progress.stage)
    if saved is not None:
        network.load_state_dict(saved["network"])
        fitting.optimizer.optimizer.load_state_dict(saved["optimizer"])
        fitting.schedule.load_state_dict(saved["schedule"])
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(saved["scaler"])
        if fitting.ema is not None:
            fitting.ema.load_state_dict(saved["average"])
    while progress.epoch < fitting.stage.epochs:
        started = time.perf_counter()
        train_loss = train_epoch(accelerator, fitting, config, progress)
        seconds = time.perf_counter() - started
        valid = predict_valid(
            accelerator, network_to_keep(network, fitting), fitting.store, fitting.stage.batch_size
        )
        quality = judge(valid)
        figures = {
            "stage": progress.stage,
            "epoch": progress.epoch,
            "image_size": fitting.stage.image_size,
            "train_loss": train_loss,
            **slice_figures(valid.label, quality.probability),
            "weighted_auroc": quality.auroc,
            "mask_dice": quality.mask_dice,
            "selection": quality.selection,
            "lr": fitting.schedule.get_last_lr()[-1],
            "images_per_second": fitting.updates * fitting.stage.batch_size / seconds,
        }
        progress = close_epoch(accelerator, network, config, fitting, progress, figures)
    accelerator.unwrap_model(fitting.network, keep_fp32_wrapper=False, keep_torch_compile=False)
    accelerator.free_memory(fitting.network, fitting.optimizer)
    # With this mark, `prepare` would return the network unchanged, and the next stage would run
    # in float32.
    network.__dict__.pop("_is_accelerate_prepared", None)
    later = config.stages[progress.stage + 1 :]
    # The published network is used at the last picture size, so weights of smaller sizes do not
    # compete with its weights.
    same_size = bool(later) and later[0].image_size == fitting.stage.image_size
    return Progress(progress.stage + 1, 0, progress.best if same_size else -1.0)


def train_epoch(
    accelerator: Accelerator, fitting: Fitting, config: TrainConfig, progress: Progress
) -> float:
    """Train for one epoch and return its mean loss."""
    fitting.network.train()
    total = torch.zeros((), device=accelerator.device)
    bar = tqdm(
        total=fitting.updates * fitting.stage.batch_size,
        desc=f"stage {progress.stage} epoch {progress.epoch} at {fitting.stage.image_size} px",
        unit="image",
        disable=not accelerator.is_main_process,
    )
    for batch in augmented_batches(accelerator, fitting, config, progress):
        total += train_step(accelerator, fitting, config, *batch)
        if fitting.ema is not None:
            fitting.ema.update_parameters(fitting.network)
        bar.update(fitting.stage.batch_size)
    bar.close()
    loss = float(accelerator.reduce(total, reduction="mean")) / fitting.updates
    if not np.isfinite(loss):
        raise BrainAIError(
            f"The loss became {loss} in stage {progress.stage}, epoch {progress.epoch}: "
            "lower the learning rate of that stage, or use --mixed-precision no."
        )
    return loss


def augmented_batches(
    accelerator: Accelerator, fitting: Fitting, config: TrainConfig, progress: Progress
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]]:
    """Yield this process's batches of an epoch, augmented, on its device.

    Yields:
        Network input `[n, 3, S, S]`, labels `[n]`, masks `[n, 1, S, S]`, has_mask `[n]`, weights
        in the loss `[n]`, and the random numbers for `set_draws`.
    """
    seed = epoch_seed(config.seed, progress.stage, progress.epoch)
    random = random_table(len(fitting.store.records), seed)
    skips = random_table(
        len(fitting.store.records),
        epoch_seed(config.seed, progress.stage, progress.epoch, SKIPPING),
        len(paths(fitting.network)),
    )
    batches = train_batches(
        epoch_rows(fitting.store.records, config.slices_per_case, seed),
        fitting.stage.batch_size,
        seed,
        accelerator.process_index,
        accelerator.num_processes,
    )
    weights = slice_weights(fitting.store.records, config.hard_weight)
    device = accelerator.device
    donors = draw_donors(
        fitting.store.records,
        rows_of(fitting.store.records, "train"),
        random[:, CARVE_MIX],
        config.augmentation.lend,
    )
    for batch in open_loader(fitting.store, batches, on_gpu=device.type == "cuda", donors=donors):
        planes, labels, donor, has_donor = (
            batch[key].to(device, non_blocking=True)
            for key in ("planes", "label", "donor_planes", "has_donor")
        )
        planes = planes.float()
        if len(donor):
            mixed = carve_mix(planes[has_donor], labels[has_donor], donor)
            planes[has_donor], labels[has_donor] = mixed
        images, masks = augment(planes, random[batch["row"]].to(device), config.augmentation)
        inputs, has_mask = to_input(images, MEAN, STD), batch["has_mask"].to(device)
        weight, draws = (table[batch["row"]].to(device) for table in (weights, skips))
        yield inputs, labels, masks, has_mask, weight, draws


def train_step(
    accelerator: Accelerator,
    fitting: Fitting,
    config: TrainConfig,
    inputs: Tensor,
    labels: Tensor,
    masks: Tensor,
    has_mask: Tensor,
    weights: Tensor,
    draws: Tensor,
    *,
    move_schedule: bool = True,
) -> Tensor:
    """Make one update and return the detached loss.

    The arguments from `inputs` to `draws` are what `augmented_batches` yields.
    """
    set_draws(fitting.network, draws)
    output = fitting.network(inputs)
    losses = slice_losses(output, labels, masks, has_mask, config.mask_weight)
    loss = (losses * weights).mean()
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(fitting.network.parameters(), config.clip_norm)
    fitting.optimizer.step()
    if move_schedule:
        fitting.schedule.step()
    fitting.optimizer.zero_grad()
    return loss.detach()


def network_to_keep(network: BrainNet, fitting: Fitting) -> BrainNet:
    """Return the network that is validated and kept: the EMA of the weights, if there is one.

    It is never the wrapper made by Accelerate, whose tensor names differ once it is compiled.
    """
    return network if fitting.ema is None else fitting.ema.module


def close_epoch(
    accelerator: Accelerator,
    network: BrainNet,
    config: TrainConfig,
    fitting: Fitting,
    progress: Progress,
    figures: dict,
) -> Progress:
    """Log the epoch, keep the weights if they are the best, and write the checkpoint last.

    A run that is killed before the checkpoint repeats the epoch and writes the same files again.

    Returns:
        Progress at the start of the next epoch.
    """
    selection = figures["selection"]
    defined = not np.isnan(selection)
    better = selection >= progress.best if defined else progress.best < 0
    best = selection if defined and better else progress.best
    after = replace(progress, epoch=progress.epoch + 1, best=best)

    def keep() -> None:
        done = sum(stage.epochs for stage in config.stages[: progress.stage])
        accelerator.log(figures, step=done + progress.epoch)
        log_epoch(config.out, figures)
        if better:
            save_best(config.out, network_to_keep(network, fitting))
        save_checkpoint(config, after, state_of(accelerator, network, fitting))

    in_main_process(accelerator, keep)
    accelerator.print(
        f"stage {progress.stage} epoch {progress.epoch} ({fitting.stage.image_size} px): "
        + ", ".join(f"{name} {figures[name]:.4g}" for name in list(figures)[3:])
    )
    return after


def state_of(accelerator: Accelerator, network: BrainNet, fitting: Fitting) -> dict:
    """Return the state dicts from which `fit_stage` resumes."""
    return {
        "network": network.state_dict(),
        "optimizer": fitting.optimizer.optimizer.state_dict(),
        "schedule": fitting.schedule.state_dict(),
        "scaler": accelerator.scaler.state_dict() if accelerator.scaler else None,
        "average": fitting.ema.state_dict() if fitting.ema else None,
    }


def check_splits(store: Store, data: Path, batch_size: int, epoch_slices: int) -> None:
    """Check that an epoch has a full batch and that `valid` and `test` have slices.

    Args:
        epoch_slices: slices to train on in one epoch.
    Raises:
        DataError: there are too few slices.
    """
    slices = {split: len(rows_of(store.records, split)) for split in SPLITS}
    slices["train"] = epoch_slices
    if slices["train"] < batch_size or not slices["valid"] or not slices["test"]:
        raise DataError(
            f"{data}: expected at least one batch of {batch_size} slices to train on in an epoch, "
            f"and slices of other patients in valid and test; found {slices}. Prepare more "
            "patients, lower the batch size, or raise --slices-per-case."
        )
