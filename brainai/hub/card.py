"""The model card: README.md of a model folder, its figures taken from report.json."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from brainai import DISCLAIMER
from brainai.evaluation import sections
from brainai.evaluation.intervals import LEVEL
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
CHARTS = {  # no picture of a scan is among them
    "roc_pr.png": "ROC curve, and precision against recall",
    "reliability.png": "Share of slices with tumor against the probability given",
    "confusion.png": "Confusion matrix",
    "sizes.png": "Sensitivity by size of tumor",
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
    """What the Hub reads of the card: license, data sets, base model, the figures on `test`.

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
    """The group, the name and the figure of all that a card shows and that is known."""
    groups = {"all": report["all"], **report["source"]}
    found = [(group, key, of["figures"][key]) for group, of in groups.items() for key in SHOWN]
    return [(group, key, figure) for group, key, figure in found if figure["value"] is not None]


def card_body(
    info: ModelInfo, report: dict, charts: Sequence[str] = (), repository: str | None = None
) -> str:
    """The card for people to read, without what the Hub reads; arguments of `model_card`."""
    sources = source_names(info, report)
    parts = [sections.scan_section(report), sections.point_section(report)]
    parts += [sections.calibration_section(report), sections.scope_section(report)]
    parts += [site_section(report), sections.phantom_section(report), sections.size_section(report)]
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
        sections="\n\n".join(part for part in parts if part),
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
    if info.scan_weights is not None:  # the weights of today do without
        parts["the verdict on whole scans"] = True
    parts["what cannot be judged"] = info.scope
    fitted = ", ".join(part for part, done in parts.items() if done) or "nothing"
    left = ", ".join(part for part, done in parts.items() if not done)
    return f"Fitted on patients of `valid`: {fitted}." + (f" Not fitted: {left}." if left else "")


def site_section(report: dict) -> str:
    """The figures of every site, one row each."""
    return f"## By site\n\n{sections.group_table(report['site'])}" if report["site"] else ""


def figures(report: dict) -> str:
    """What a slice is called tumor from, and the figures of all slices and of every source as a
    Markdown table."""
    head = "| data | patients | slices | figure | value | 95 % interval |"
    lines = [head, "|---|---|---|---|---|---|"]
    for group, key, of in shown_figures(report):
        interval = "n/a" if of["low"] is None else f"{of['low']:.3f} to {of['high']:.3f}"
        lines.append(
            f"| {group} | {of['n_patients']} | {of['n_slices']:,} | {SHOWN[key]} | "
            f"{of['value']:.3f} | {interval} |"
        )
    words = (
        f"{LEVEL} % intervals from resampling patients. A slice is called tumor from "
        f"probability {report['threshold']:.3f} on: {sections.operating_point(report)}. "
        f"{sections.shared_patients(report)}"
    )
    return "\n".join(lines) + f"\n\n{words.strip()}"
