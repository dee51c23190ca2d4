"""The model card: README.md of a model folder, with the figures of report.json."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from brainai import DISCLAIMER
from brainai.evaluation import sections
from brainai.evaluation.names import LEVEL
from brainai.hub.terms import GLIOMA, HUB_DATASETS, NO_HEALTHY_PERSON, NON_COMMERCIAL, SOURCES
from brainai.model.fetch import HUB_ID
from brainai.model.folder import ModelInfo

SHOWN = {
    "dice": "Dice of slices (F1 of “Tumor”)",
    "auroc": "AUROC of slices",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "mask_dice": "Dice of masks, mean over patients",
    "ece": "Calibration error (ECE)",
}
HUB_NAMES = ("f1", "roc_auc", "recall", "specificity", "dice", "expected_calibration_error")
METRICS = dict(zip(SHOWN, HUB_NAMES, strict=True))
FIGURES = "figures"
CHARTS = {  # none of these shows a scan
    "roc_pr.png": "ROC curve, and precision against recall",
    "reliability.png": "Share of slices with tumor against the predicted probability",
    "confusion.png": "Confusion matrix",
    "sizes.png": "Sensitivity by tumor size",
    "mask_dice.png": "Dice of the mask for each patient",
    "learning_curves.png": "Loss and figures on `valid` for each epoch",
}
LICENSE = "apache-2.0"
TEXT = Path(__file__).with_name("model_card.md")


def model_card(
    info: ModelInfo, report: dict, charts: Sequence[str] = (), repository: str | None = None
) -> str:
    """Return the text of README.md.

    Args:
        info: the facts about the model.
        report: the content of report.json, as returned by `build_report`.
        charts: names of `CHARTS` that are in the folder `FIGURES` next to the card.
        repository: `owner/name` on the Hub; None for a folder on disk.
    """
    front_matter = card_data(info, report, repository).to_yaml(line_break="\n")
    return f"---\n{front_matter}\n---\n\n" + card_body(info, report, charts, repository)


def card_data(info: ModelInfo, report: dict, repository: str | None = None) -> ModelCardData:
    """Return the metadata that the Hub reads: license, data sets, base model, test figures.

    The format: https://github.com/huggingface/hub-docs/blob/main/modelcard.md
    """
    sources = source_names(info, report)
    base = HUB_ID.fullmatch(str(info.training.get("started_from", "")))
    return ModelCardData(
        model_name=repository or info.name,
        library_name="timm",
        pipeline_tag="image-classification",
        license=LICENSE,
        base_model=base["repository"] if base else None,
        datasets=[HUB_DATASETS[name] for name in sources if name in HUB_DATASETS] or None,
        metrics=sorted(set(METRICS.values())),
        tags=["timm", "medical", "mri", "brain", "tumor", "image-segmentation"],
        eval_results=eval_results(report) or None,
    )


def eval_results(report: dict) -> list[EvalResult]:
    """Return the figures of all held-out slices and of each source, in `model-index` form."""
    return [
        EvalResult(
            task_type="image-segmentation" if key == "mask_dice" else "image-classification",
            dataset_type=HUB_DATASETS.get(group, group),
            dataset_name="all sources" if group == "all" else group,
            dataset_split=report["about"]["split"],
            metric_type=METRICS[key],
            metric_name=SHOWN[key],
            metric_value=figure["value"],
        )
        for group, key, figure in shown_figures(report)
    ]


def shown_figures(report: dict) -> list[tuple[str, str, dict]]:
    """Return (group, name, figure) for each known figure that a card shows."""
    groups = {"all": report["all"], **report["source"]}
    shown = [(group, key, of["figures"][key]) for group, of in groups.items() for key in SHOWN]
    return [(group, key, figure) for group, key, figure in shown if figure["value"] is not None]


def card_body(
    info: ModelInfo, report: dict, charts: Sequence[str] = (), repository: str | None = None
) -> str:
    """Return the card without the metadata; the arguments are those of `model_card`."""
    sources = source_names(info, report)
    parts = [sections.scan_section(report), sections.point_section(report)]
    parts += [sections.calibration_section(report), sections.scope_section(report)]
    parts += [site_section(report), sections.phantom_section(report), sections.size_section(report)]
    return TEXT.read_text(encoding="utf-8").format(
        name=repository or info.name,
        disclaimer=DISCLAIMER,
        architecture=info.architecture,
        decoder=" and a U-Net decoder" if info.decoder else "",
        size=info.image_size,
        revision=info.revision,
        git_revision=info.git_revision or "unknown commit",
        dataset_hash=info.dataset_hash[:16],
        refuses="The model answers most of these with “Cannot judge”, but not all."
        if info.scope
        else "",
        id=repository or "this folder",
        timm_id=f"hf-hub:{repository}" if repository else "local-dir:this folder",
        sources="\n".join(f"- {SOURCES.get(name, name)}" for name in sources),
        notes=notes(sources),
        procedure=procedure(info),
        figures=figures(report),
        command=report["about"]["command"],
        charts="\n\n".join(f"![{CHARTS[name]}]({FIGURES}/{name})" for name in charts),
        sections="\n\n".join(part for part in parts if part),
        untested=untested(report),
    )


def source_names(info: ModelInfo, report: dict) -> list[str]:
    """Return the sources of the training data, or those of the report if none were noted."""
    return info.training.get("sources", list(report["source"]))


def notes(sources: list[str]) -> str:
    """Return what readers must know about the people and the terms of these sources."""
    healthy = NO_HEALTHY_PERSON if set(sources) <= GLIOMA else ""
    return f"{healthy} {NON_COMMERCIAL if 'lgg' in sources else ''}".strip()


def untested(report: dict) -> str:
    """Return on whom the model was not tested, as far as the sources of the report show."""
    others = "on other lesions of real people, on healthy people, "
    known = others if set(report["source"]) <= GLIOMA else ""
    return (
        f"The model was not tested on children, {known}or on scanners other than those of the "
        "data sets above."
    )


def procedure(info: ModelInfo) -> str:
    """Return how the weights were trained; Markdown."""
    training = info.training
    rows = [
        "| pixels | epochs | trains | peak learning rate | slices per update |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {stage['image_size']} | {stage['epochs']} | {stage['train']} | {stage['lr']:g} | "
        f"{stage['batch_size']} |"
        for stage in training.get("stages", ())
    ]
    words = [f"`{training['command']}`"] if "command" in training else []
    if training.get("started_from"):
        words.append(f"Training started from {training['started_from']}.")
    if training.get("note"):
        words.append(training["note"])
    if len(rows) > 2:
        words += [
            "\n".join(rows),
            "AdamW, with one cycle of the learning rate per stage; brainai.json has the other "
            "settings.",
        ]
    words.append(what_was_fitted(info))
    return "\n\n".join(words)


def what_was_fitted(info: ModelInfo) -> str:
    """Return a sentence on what was fitted on `valid`, and one on what was not."""
    parts = {"probability, threshold": info.calibrated}
    if info.scan_weights is not None:  # older weights have none
        parts["the verdict on whole scans"] = True
    parts["the limits of “Cannot judge”"] = info.scope
    fitted = ", ".join(part for part, done in parts.items() if done) or "nothing"
    left = ", ".join(part for part, done in parts.items() if not done)
    return f"Fitted on patients of `valid`: {fitted}." + (f" Not fitted: {left}." if left else "")


def site_section(report: dict) -> str:
    """Return the figures of each site as a Markdown section."""
    return f"## By site\n\n{sections.group_table(report['site'])}" if report["site"] else ""


def figures(report: dict) -> str:
    """Return the figures of all slices and of each source as a Markdown table, followed by the
    threshold."""
    head = "| data | patients | slices | figure | value | 95 % interval |"
    lines = [head, "|---|---|---|---|---|---|"]
    for group, key, of in shown_figures(report):
        interval = "n/a" if of["low"] is None else f"{of['low']:.3f} to {of['high']:.3f}"
        lines.append(
            f"| {group} | {of['n_patients']} | {of['n_slices']:,} | {SHOWN[key]} | "
            f"{of['value']:.3f} | {interval} |"
        )
    words = (
        f"The {LEVEL} % intervals come from resampling patients. A slice is labeled “Tumor” if its "
        f"probability is at least {report['threshold']:.3f}. The operating point is: "
        f"{sections.operating_point(report)}. {sections.shared_patients(report)}"
    )
    return "\n".join(lines) + f"\n\n{words.strip()}"
