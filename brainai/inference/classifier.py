"""Is there tumor on this slice? One object that answers, for the app, the API and Python alike."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from brainai.data.images import ImageSource, restore
from brainai.errors import DataError, OutOfScope
from brainai.evaluation.sections import point_with_outcome
from brainai.inference.engine import wanted_engine, with_engine
from brainai.inference.scan import Progress, ScanPrediction, ScanProgress, judge_scan
from brainai.inference.sequences import (
    MASK_LEVEL,
    ScanSource,
    open_sequences,
    stack_sequences,
)
from brainai.model.answer import answer
from brainai.model.cam import heat
from brainai.model.fetch import Fetched, fetch_model
from brainai.model.folder import ModelInfo, load_model, load_scope, read_model_report
from brainai.model.network import BrainNet
from brainai.model.scope import Scope, refusal_of_scan, refusals

Item: TypeAlias = ImageSource | Mapping[str, ImageSource | None]
CANNOT_JUDGE = "Cannot judge"


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer for one slice.

    Attributes:
        label: "Tumor" from `threshold` on, else "No Tumor"; "Cannot judge" with a `reason`.
        probability: of tumor, in [0, 1], fitted where `info.calibrated` says so; None where the
            slice cannot be judged, and so are mask and heatmap.
        threshold: the model's operating point, a probability.
        mask: where the network sees tumor, `[H, W]` bool at the size of the picture given; an
            estimate of extent, drawn whatever the label is. None if the model has no decoder.
        heatmap: what spoke for "Tumor" in the class score, `[H, W]` float32 in [0, 1], 1 the
            most; coarse, and no outline. The probability joins this score with the mask's. The
            scale is the same for every slice (`cam.heat`), so a slice without evidence stays near
            0. None if the model's head allows no exact map.
        reason: why it cannot be judged, in a few words such as "color picture"; else None.
    """

    label: str
    probability: float | None
    threshold: float
    mask: np.ndarray | None
    heatmap: np.ndarray | None
    reason: str | None = None

    @classmethod
    def refused(cls, reason: str, info: ModelInfo) -> "Prediction":
        """The answer "Cannot judge"."""
        return cls(CANNOT_JUDGE, None, info.threshold, None, None, reason)

    def area_cm2(self, pixel_mm: float | None) -> float | None:
        """Area of the mask, cm², of square pixels of this side; None without mask or side."""
        if self.mask is None or pixel_mm is None:
            return None
        return float(self.mask.sum()) * pixel_mm**2 / 100


class Prepared(NamedTuple):
    """A slice as the network sees it, `[3, S, S]` float32 in [0, 1], and its own size."""

    planes: np.ndarray
    height: int
    width: int


class Forward(NamedTuple):
    """What the network gives for N prepared slices, at its own size S."""

    probabilities: np.ndarray  # of tumor, [N] float
    masks: np.ndarray | None  # each pixel's probability, [N, S, S] float; None without a decoder
    heatmaps: np.ndarray | None  # [N, S, S] float in [0, 1]; None unless asked for and possible


class Classifier:
    """A loaded model that answers for slices. It keeps nothing between calls."""

    def __init__(
        self,
        network: BrainNet,
        info: ModelInfo,
        device: str | torch.device = "cpu",
        scope: Scope | None = None,
        weights: Fetched | None = None,
        report: dict[str, Any] | None = None,
    ):
        self.info = info
        self.weights = weights
        self.report = report
        self.device = torch.device(device)
        self._scope = None if scope is None else scope.to(self.device)
        self._network = network.to(self.device, memory_format=torch.channels_last).eval()

    @classmethod
    def load(
        cls,
        name: str | Path,
        device: str | torch.device | None = None,
        fallback: str | Path | None = None,
        engine: str | None = None,
    ) -> "Classifier":
        """A model from a folder or from the Hub; `weights` of it says which, and where from, and
        `report` what its report.json holds, where there is one of these weights.

        Args:
            name: a model folder, ours or a timm classifier's of two classes, or `owner/name` or
                `owner/name@revision` on the Hub; see `fetch_model`.
            device: None is the GPU if there is one.
            fallback: model folder to take instead where the Hub cannot be reached;
                `weights.notice` then says so.
            engine: `auto`, `torch` or `openvino`, on the CPU (`brainai.inference.engine`); None is
                what BRAINAI_ENGINE says, else `auto`.
        Raises:
            WeightsError: a file is missing, damaged, of another kind or too new.
            HubError: the Hub has no such model, or cannot be reached.
            ConfigError: the engine asked for is none, or is missing.
        """
        weights = fetch_model(name, None if fallback is None else Path(fallback))
        network, info = load_model(weights.folder)
        report = read_model_report(weights.folder, info.revision)
        info = replace(info, operating_point=point_with_outcome(info.operating_point, report))
        if weights.commit is not None:  # in the cache, a folder is named after its commit
            info = replace(info, name=weights.repository)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if torch.device(device).type == "cpu":
            network = with_engine(network.eval(), info, engine or wanted_engine())
        return cls(network, info, device, load_scope(weights.folder), weights, report)

    def predict(
        self,
        flair: ImageSource,
        t1c: ImageSource | None = None,
        t2: ImageSource | None = None,
    ) -> Prediction:
        """Answer for one slice.

        Args:
            flair: path or bytes of a picture or of the DICOM file of one slice, PIL image, or array
                `[H, W]` of any gray levels.
            t1c, t2: the same slice in the other sequences, of the same size, where there are any.
        Raises:
            DataError: a file cannot be read, or the sequences do not fit together; the message is
                fit for a visitor. A picture that can be read and is no FLAIR slice raises nothing:
                its label is "Cannot judge".
        """
        return self.predict_batch([{"flair": flair, "t1c": t1c, "t2": t2}])[0]

    def predict_batch(self, items: Iterable[Item], batch_size: int = 16) -> list[Prediction]:
        """Answers for many slices, in the order given.

        Args:
            items: FLAIR slices, or mappings with the keys flair, t1c and t2.
            batch_size: slices in one forward pass; bounds the memory.
        Raises:
            DataError: at the first slice that cannot be read; it says which. No answer is given
                then: ask slice by slice to go on without the bad ones.
        """
        items = list(items)
        answers: list[Prediction] = []
        for start in range(0, len(items), batch_size):
            chunk = enumerate(items[start : start + batch_size], start)
            answers += self._answer([self._prepare_nth(n, item, len(items)) for n, item in chunk])
        return answers

    def predict_scan(
        self,
        flair: ScanSource,
        t1c: ScanSource | None = None,
        t2: ScanSource | None = None,
        progress: Progress | None = None,
        batch_size: int = 8,
    ) -> ScanPrediction:
        """Answer for a whole scan, slice by slice and together.

        Args:
            flair: a NIfTI or MetaImage file, the folder of a DICOM series, a zip file of it, or a
                `Volume`. It may be stored in any orientation; its slices are judged axially.
            t1c, t2: other sequences of the same examination, where there are any; they are
                resampled onto FLAIR's voxels by their headers.
            progress: called with slices done and slices to do after each batch.
            batch_size: slices in one forward pass; bounds the memory: at 256 pixels, 16 take
                about 130 MB more than 8.
        Raises:
            OutOfScope: its slices together do not look like axial FLAIR, or its DICOM header says
                that it is another sequence.
            DataError: a scan cannot be judged; the message is fit for a visitor.
        """
        for step in self.follow_scan(flair, t1c, t2, batch_size):
            if progress is not None and isinstance(step, ScanProgress):
                progress(step.done, step.total)
        return step

    def follow_scan(
        self,
        flair: ScanSource,
        t1c: ScanSource | None = None,
        t2: ScanSource | None = None,
        batch_size: int = 8,
    ) -> Iterator[ScanProgress | ScanPrediction]:
        """`predict_scan` step by step: a `ScanProgress` after each batch, the answer last.

        Whoever stops asking stops the work. Arguments and errors are those of `predict_scan`.
        """
        volumes = open_sequences({"flair": flair, "t1c": t1c, "t2": t2}, self.info.modalities)
        yield from judge_scan(self._forward, self._refusal_of_scan, self.info, volumes, batch_size)

    def _prepare_nth(self, index: int, item: Item, count: int) -> Prepared | str:
        """The slice, or in a few words why it cannot be judged."""
        sources = item if isinstance(item, Mapping) else {"flair": item}
        try:
            found = Prepared(*stack_sequences(sources, self.info.image_size, self.info.modalities))
        except OutOfScope as error:
            return error.reason
        except DataError as error:
            if count == 1:
                raise
            raise DataError(f"Slice {index + 1} of {count}: {error}", error.code) from error
        return self._refusals(found.planes[None])[0] or found

    def _answer(self, slices: list[Prepared | str]) -> list[Prediction]:
        """The answers for prepared slices, and for the reasons among them why there is none."""
        judged = [one for one in slices if isinstance(one, Prepared)]
        found = (
            self._forward(np.stack([p.planes for p in judged]), heatmaps=True) if judged else None
        )
        answers = iter(self._prediction(found, i, p.height, p.width) for i, p in enumerate(judged))
        return [
            next(answers) if isinstance(one, Prepared) else Prediction.refused(one, self.info)
            for one in slices
        ]

    @torch.inference_mode()
    def _forward(self, planes: np.ndarray, *, heatmaps: bool = False) -> Forward:
        """One pass over prepared slices, `[N, 3, S, S]` in [0, 1]."""
        images = torch.from_numpy(planes).to(self.device)
        found = answer(self._network, self.info, images, explain=heatmaps)
        masks, evidence = found.mask_logits, found.evidence
        return Forward(
            found.probabilities.cpu().numpy(),
            None if masks is None else masks.sigmoid().cpu().numpy(),
            None if evidence is None else heat(evidence, self.info.temperature).cpu().numpy(),
        )

    def _prediction(self, found: Forward, index: int, height: int, width: int) -> Prediction:
        """The answer for one of the slices, its maps as large as the picture given."""
        probability = float(found.probabilities[index])
        mask, heatmap = (
            None if planes is None else restore(planes[index], height, width)
            for planes in (found.masks, found.heatmaps)
        )
        return Prediction(
            label=self.info.label_names[int(probability >= self.info.threshold)],
            probability=probability,
            threshold=self.info.threshold,
            mask=None if mask is None else mask >= MASK_LEVEL,
            heatmap=heatmap,
        )

    def _refusals(self, planes: np.ndarray) -> list[str | None]:
        """Why prepared slices, `[N, 3, S, S]` in [0, 1], cannot be judged; None where they can."""
        return refusals(torch.from_numpy(planes[:, :1]).to(self.device), self._scope)

    def _refusal_of_scan(self, planes: np.ndarray) -> str | None:
        """Why the scan of these slices, `[N, 3, S, S]` in [0, 1], cannot be judged; else None."""
        return refusal_of_scan(torch.from_numpy(planes[:, :1]).to(self.device), self._scope)
