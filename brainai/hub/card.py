"""The model card: README.md of a model folder, with the figures of report.json."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from brainai import DISCLAIMER
from brainai.evaluation import sections
from brainai.evaluation.names import LEVEL
from brainai.hub import terms
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
    sources = source_names(info, report)
    card = ModelCard.from_template(
        card_data(info, report, repository),
        template_path=str(TEXT),
        info=info,
        report=report,
        repository=repository,
        disclaimer=DISCLAIMER,
        terms=terms,
        source_names=sources,
        trained_on_glioma_only=set(sources) <= terms.GLIOMA,
        tested_on_glioma_only=set(report["source"]) <= terms.GLIOMA,
        fitted=what_was_fitted(info),
        figures=[(group, SHOWN[key], figure) for group, key, figure in shown_figures(report)],
        charts={f"{FIGURES}/{name}": CHARTS[name] for name in charts},
        level=LEVEL,
        sections=sections,
    )
    return f"{card}\n"


def card_body(info: ModelInfo, report: dict, repository: str | None = None) -> str:
    """Return the card without metadata and charts; the arguments are those of `model_card`."""
    return ModelCard(model_card(info, report, repository=repository)).text.lstrip()


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
        license="apache-2.0",
        base_model=base["repository"] if base else None,
        datasets=[hub for name, hub in terms.HUB_DATASETS.items() if name in sources] or None,
        metrics=sorted(set(METRICS.values())),
        tags=["timm", "medical", "mri", "brain", "tumor", "image-segmentation"],
        eval_results=eval_results(report) or None,
    )


def eval_results(report: dict) -> list[EvalResult]:
    """Return the figures of all held-out slices and of each source, in `model-index` form."""
    return [
        EvalResult(
            task_type="image-segmentation" if key == "mask_dice" else "image-classification",
            dataset_type=terms.HUB_DATASETS.get(group, group),
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


def source_names(info: ModelInfo, report: dict) -> list[str]:
    """Return the sources of the training data, or those of the report if none were noted."""
    return info.training.get("sources", list(report["source"]))


def what_was_fitted(info: ModelInfo) -> str:
    """Return a sentence on what was fitted on `valid`, and one on what was not."""
    parts = {"probability, threshold": info.calibrated}
    if info.scan_weights is not None:  # older weights have none
        parts["the verdict on whole scans"] = True
    if info.neighbor_weights is not None:
        parts["the probability of slices within scans"] = True
    parts["the limits of “Cannot judge”"] = info.scope
    fitted = ", ".join(part for part, done in parts.items() if done) or "nothing"
    left = ", ".join(part for part, done in parts.items() if not done)
    return f"Fitted on patients of `valid`: {fitted}." + (f" Not fitted: {left}." if left else "")
