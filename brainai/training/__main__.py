"""The training program, run by `accelerate launch train.py` and by `brainai train`.

It trains stage after stage with growing pictures, keeps the weights that are best on `valid`,
writes the model folder, and reports on `test`. `--help` lists every option.
brainai/training/checkpoints.py describes the run folder.
"""

import json
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import torch
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import get_cpu_distributed_information, set_seed
from joblib import cpu_count

from brainai.command_line import run_command
from brainai.data.dataset import read_dataset_info, source_names
from brainai.data.elsewhere import find_decoys
from brainai.data.files import storage_error
from brainai.data.lock import hold
from brainai.errors import BrainAIError, ConfigError, StorageError
from brainai.hub.publish import begin, publish_run
from brainai.hub.upload import Target
from brainai.model.answer import has_fast_bfloat16
from brainai.model.fetch import fetch_model
from brainai.model.folder import ModelInfo, load_model
from brainai.model.network import BrainNet, build_network, check_picture_size
from brainai.training.checkpoints import (
    Progress,
    check_unused,
    git_revision,
    load_best,
    load_checkpoint,
    read_history,
    write_config,
    write_history,
)
from brainai.training.config import TrainConfig, parse_config
from brainai.training.distributed import (
    MainProcessFailed,
    check_processes,
    in_main_process,
    lost_process,
    main_process_first,
    share_batch_norm,
)
from brainai.training.finish import busy, finish
from brainai.training.lr_finder import find_learning_rate
from brainai.training.memory import keep_freed_memory
from brainai.training.scope import train_scope
from brainai.training.stages import fit_stage
from brainai.training.start import check_start, origin, pinned

RESUME = "Add --resume to go on from the last checkpoint."


def open_accelerator(config: TrainConfig) -> Accelerator:
    """Return an Accelerator with processes, device and precision set up.

    With `mixed_precision="auto"`, a CPU uses bfloat16 only if it computes it fast.

    Raises:
        ConfigError: a tracker is not installed, or the processes do not see each other or cannot
            divide a batch evenly.
    """
    available = {tracker.value for tracker in get_available_trackers()}
    missing = sorted(set(config.log_with) - available)
    if missing:  # Accelerate would leave them out without a word
        names = " ".join(missing)
        raise ConfigError(
            f"--log-with {names}: expected installed trackers. Run pip install {names}."
        )
    cpu = config.cpu or not torch.cuda.is_available()
    precision = config.mixed_precision
    if precision == "auto":
        fast = has_fast_bfloat16() if cpu else torch.cuda.is_bf16_supported()
        precision = "bf16" if fast else "no"
    accelerator = Accelerator(
        cpu=cpu,
        mixed_precision=precision,
        log_with=list(config.log_with) or None,
        project_dir=str(config.out),
    )
    if cpu:  # `accelerate launch` gives each process a single thread
        local_processes = get_cpu_distributed_information().local_world_size
        torch.set_num_threads(max(1, cpu_count() // local_processes))
        keep_freed_memory()
    else:
        torch.backends.cudnn.benchmark = True  # all batches of a stage have the same size
        torch.set_float32_matmul_precision("high")
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    check_processes(accelerator, launched, [stage.batch_size for stage in config.stages])
    return accelerator


def first_weights(config: TrainConfig) -> BrainNet:
    """Return the network of `--init-from`, or a new one."""
    if config.init_from is None:
        return build_network(
            config.architecture,
            pretrained=config.pretrained,
            pretrained_from=config.pretrained_from,
            decoder=config.decoder,
            drop_path=config.drop_path,
        )
    folder = fetch_model(config.init_from).folder
    network, info = load_model(folder, drop_path=config.drop_path)
    check_start(config, info)
    return network


def open_network(config: TrainConfig, accelerator: Accelerator) -> BrainNet:
    """Return the network to start from, with the same weights in every process."""
    set_seed(config.seed)
    network = main_process_first(accelerator, first_weights, config)
    for size in sorted({stage.image_size for stage in config.stages}):
        check_picture_size(network, size)
    return share_batch_norm(network, accelerator).to(memory_format=torch.channels_last)


def train(config: TrainConfig, accelerator: Accelerator, network: BrainNet) -> None:
    """Train all stages. With `--resume`, continue from the last checkpoint."""
    checkpoint = None
    if config.resume:
        checkpoint = main_process_first(accelerator, load_checkpoint, config, accelerator.print)
    progress, saved = checkpoint or (Progress(), None)

    def begin_log() -> None:
        environment = {"processes": accelerator.num_processes, "git_revision": git_revision()}
        write_config(config.out, asdict(config) | environment)
        history = [] if saved is None else saved["history"]
        if history != read_history(config.out):  # the log is from an earlier run, or damaged
            write_history(config.out, history)

    in_main_process(accelerator, begin_log)
    accelerator.init_trackers("brainai", config={"recipe": json.dumps(config.recipe())})
    if saved is not None:
        network.load_state_dict(saved["network"])
    while progress.stage < len(config.stages):
        progress = fit_stage(accelerator, network, config, progress, saved)
        saved = None
    accelerator.end_training()


def conclude(config: TrainConfig, network: BrainNet, words: Sequence[str]) -> None:
    """Calibrate the best weights on `valid`, write the model folder, and report on `test`.

    With `--push-to-hub`, also push the model.

    Args:
        words: words of the training command, for the model card.
    """
    load_best(config.out, network)
    device = "cpu" if config.cpu else None
    steps = config.scope_steps
    provenance = origin(config, words)
    info = ModelInfo(
        name=f"brainai-{config.architecture}",
        architecture=config.architecture,
        image_size=config.image_size,
        decoder=config.decoder,
        dataset_hash=read_dataset_info(config.data)["content_hash"],
        git_revision=git_revision(),
        training=config.recipe() | provenance | {"sources": source_names(config.data)},
    )
    finish(
        network,
        info,
        config.data,
        config.out,
        train_scope(config.data, steps, folders=config.decoys, device=device) if steps else None,
        device=device,
        command=provenance["command"],
        history=read_history(config.out),
    )
    if config.push_to_hub is not None:
        print(publish_run(config.out, Target(config.push_to_hub, public=config.public), config.tag))


def run_training(config: TrainConfig, words: Sequence[str], locks: ExitStack) -> None:
    """Run the whole training.

    Args:
        words: words of the training command, for the model card.
        locks: keeps the lock on the run folder until the training ends.
    """
    accelerator = open_accelerator(config)
    in_main_process(accelerator, lambda: locks.enter_context(hold(config.out, busy(config.out))))
    if not config.resume and not config.find_lr:
        in_main_process(accelerator, check_unused, config.out)
    if config.push_to_hub is not None and not config.find_lr:
        in_main_process(accelerator, begin, config.out, Target(config.push_to_hub), config.tag)
    config = main_process_first(accelerator, pinned, config)
    if config.scope_steps and not config.find_lr:
        for folder in config.decoys:
            in_main_process(accelerator, find_decoys, folder)
    network = open_network(config, accelerator)
    if config.find_lr:
        accelerator.print(f"--find-lr: {find_learning_rate(accelerator, network, config):.1e}")
        return
    train(config, accelerator, network)
    if accelerator.is_main_process:
        conclude(config, network, words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Return 0, or 2 after a one-line error message."""
    return run_command(parse_config, run, arguments, "accelerate launch train.py")


def run(config: TrainConfig, words: Sequence[str]) -> None:
    """Train; on an error that a user can correct, print one line and exit with status 2.

    Args:
        words: words of the training command, for the model card.
    """
    threading.excepthook = report_thread_error
    try:
        with ExitStack() as locks:
            run_training(config, words, locks)
    except MainProcessFailed:  # the main process has already printed the reason
        sys.exit(2)
    except StorageError as error:
        fail(f"{error} {RESUME}")
    except BrainAIError as error:
        fail(str(error))
    except OSError as error:
        path = Path(error.filename) if error.filename else None
        fail(f"{storage_error(error, path)} {RESUME}")
    except RuntimeError as error:
        if not lost_process(error):
            raise
        fail(f"Another process of this training has ended, so this one ends as well. {RESUME}")


def report_thread_error(error: threading.ExceptHookArgs) -> None:
    """Print one line if the thread of a tracker cannot write, for instance to a full disk."""
    if isinstance(error.exc_value, OSError):
        print(f"train.py: a tracker cannot write ({error.exc_value.strerror}).", file=sys.stderr)
    else:
        threading.__excepthook__(error)


def fail(message: str) -> NoReturn:
    """Print one line and exit with status 2."""
    print(f"train.py: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())
