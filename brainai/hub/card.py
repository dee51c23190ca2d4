"""The model card: README.md of a model folder, its figures taken from report.json."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from brainai import DISCLAIMER
from brainai.evaluation.intervals import LEVEL
from brainai.evaluation.sections import (
    calibration_section,
    group_table,
    operating_point,
    phantom_section,
    point_section,
    scan_section,
    scope_section,
    shared_patients,
    size_section,
)
from brainai.hub.pull import HUB_ID
from brainai.hub.terms import GLIOMA, HUB_DATASETS, NO_HEALTHY_PERSON, NON_COMMERCIAL, SOURCES
from brainai.model.folder import ModelInfo

SHOWN = {
    "dice": "Dice of slices (F1 of “Tumor”)",
    "auroc": "AUROC of slices",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "mask_dice": "Dice of masks, mean over patients",
    "ece": "Calibration error (ECE)",
}
METRICS = {  # the Hub's names
    "dice": "f1",
    "auroc": "roc_auc",
    "sensitivity": "recall",
    "specificity": "specificity",
    "mask_dice": "dice",
    "ece": "expected_calibration_error",
}
FIGURES = "figures"
CHARTS = {  # no picture of a scan is among them
    "roc_pr.png": "ROC curve, and precision against recall",
    "reliability.png": "Share of slices with tumour against the probability given",
    "confusion.png": "Confusion matrix",
    "sizes.png": "Sensitivity by size of tumour",
    "mask_dice.png": "Dice of the mask, patient by patient",
    "learning_curves.png": "Loss and figures on `valid`, epoch by epoch",
}
LICENSE = "apache-2.0"
TEXT = Path(__file__).with_name("model_card.md")


def model_card(
    info: ModelInfo, report: dict, charts: Sequence[str] = (), repository: str | None = None
) -> str:
    """The text of README.md.

    Args:
        report: the content of report.json, as `build_report` makes it.
        charts: names of `CHARTS` that lie in the folder `FIGURES` beside it.
        repository: `owner/name` on the Hub, where it is for one.
    """
    front_matter = card_data(info, report, repository).to_yaml(line_break="\n")
    return f"---\n{front_matter}\n---\n\n" + card_body(info, report, charts, repository)


def card_data(info: ModelInfo, report: dict, repository: str | None = None) -> ModelCardData:
    """What the Hub reads of the card: licence, data sets, base model, the figures on `test`.

    Its form: https://github.com/huggingface/hub-docs/blob/main/modelcard.md
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
    """The figures of all held-out slices and of every source, as `model-index` takes them."""
    results = []
    for group, summary in {"all": report["all"], **report["source"]}.items():
        for key, title in SHOWN.items():
            value = summary["figures"][key]["value"]
            if value is None:
                continue
            task = "image-segmentation" if key == "mask_dice" else "image-classification"
            results.append(
                EvalResult(
                    task_type=task,
                    dataset_type=HUB_DATASETS.get(group, group),
                    dataset_name="all sources" if group == "all" else group,
                    dataset_split=report["about"]["split"],
                    metric_type=METRICS[key],
                    metric_name=title,
                    metric_value=value,
                )
            )
    return results


def card_body(
    info: ModelInfo, report: dict, charts: Sequence[str] = (), repository: str | None = None
) -> str:
    """The card for people to read, without what the Hub reads; arguments of `model_card`."""
    sources = source_names(info, report)
    sections = [scan_section(report), point_section(report), calibration_section(report)]
    sections += [scope_section(report), site_section(report)]
    sections += [phantom_section(report), size_section(report)]
    return TEXT.read_text(encoding="utf-8").format(
        name=repository or info.name,
        disclaimer=DISCLAIMER,
        architecture=info.architecture,
        decoder=" and a U-Net decoder beside it" if info.decoder else "",
        size=info.image_size,
        revision=info.revision,
        git_revision=info.git_revision or "of no commit",
        dataset_hash=info.dataset_hash[:16],
        refuses="Most of these are answered with “Cannot judge”, not all." if info.scope else "",
        id=repository or "this folder",
        timm_id=f"hf-hub:{repository}" if repository else "local-dir:this folder",
        sources="\n".join(f"- {SOURCES.get(name, name)}" for name in sources),
        notes=notes(sources),
        procedure=procedure(info),
        figures=figures(report),
        command=report["about"]["command"],
        charts="\n\n".join(f"![{CHARTS[name]}]({FIGURES}/{name})" for name in charts),
        sections="\n\n".join(section for section in sections if section),
        untested=untested(report),
    )


def source_names(info: ModelInfo, report: dict) -> list[str]:
    """What it was trained on; where that was not noted, what it was measured on."""
    return info.training.get("sources", list(report["source"]))


def notes(sources: list[str]) -> str:
    """What is to be known of the people and the terms of these sources."""
    healthy = NO_HEALTHY_PERSON if set(sources) <= GLIOMA else ""
    return f"{healthy} {NON_COMMERCIAL if 'lgg' in sources else ''}".strip()


def untested(report: dict) -> str:
    """On whom it was not tested, as far as the sources of the report tell."""
    others = "on other lesions of real people or on healthy persons, "
    known = others if set(report["source"]) <= GLIOMA else ""
    return f"Not tested on children, {known}nor on scanners other than those of the sets above."


def procedure(info: ModelInfo) -> str:
    """How the weights came to be, in words."""
    training = info.training
    rows = ["| pixels | epochs | trains | peak rate | slices an update |", "|---|---|---|---|---|"]
    rows += [
        f"| {stage['image_size']} | {stage['epochs']} | {stage['train']} | {stage['lr']:g} | "
        f"{stage['batch_size']} |"
        for stage in training.get("stages", ())
    ]
    words = [f"`{training['command']}`"] if "command" in training else []
    if training.get("started_from"):
        words.append(f"From {training['started_from']}.")
    if training.get("note"):
        words.append(training["note"])
    if len(rows) > 2:
        words += ["\n".join(rows), "AdamW, one cycle a stage; the rest stands in brainai.json."]
    words.append(what_was_fitted(info))
    return "\n\n".join(words)


def what_was_fitted(info: ModelInfo) -> str:
    """What was fitted on `valid`, and what was not."""
    parts = {"probability, threshold": info.calibrated}
    if info.scan_weights is not None:  # older weights do without
        parts["the verdict on whole scans"] = True
    parts["what cannot be judged"] = info.scope
    fitted, left = (
        ", ".join(part for part, done in parts.items() if done == wanted)
        for wanted in (True, False)
    )
    told = f"Fitted on patients of `valid`: {fitted or 'nothing'}."
    return f"{told} Not fitted: {left}." if left else told


def site_section(report: dict) -> str:
    """The figures of every site, one row each."""
    return f"## By site\n\n{group_table(report['site'])}" if report["site"] else ""


def figures(report: dict) -> str:
    """What a slice is called tumour from, and the figures of all slices and of every source as a
    Markdown table."""
    groups = {"all": report["all"], **report["source"]}
    lines = [
        "| data | patients | slices | figure | value | 95 % interval |",
        "|---|---|---|---|---|---|",
    ]
    for group, summary in groups.items():
        for key, title in SHOWN.items():
            figure = summary["figures"][key]
            if figure["value"] is not None:
                interval = (
                    f"{figure['low']:.3f} to {figure['high']:.3f}"
                    if figure["low"] is not None
                    else "n/a"
                )
                lines.append(
                    f"| {group} | {figure['n_patients']} | {figure['n_slices']:,} | {title} | "
                    f"{figure['value']:.3f} | {interval} |"
                )
    words = (
        f"{LEVEL} % intervals from resampling patients. A slice is called tumour from "
        f"probability {report['threshold']:.3f} on: {operating_point(report)}. "
        f"{shared_patients(report)}"
    )
    return "\n".join(lines) + f"\n\n{words.strip()}"
