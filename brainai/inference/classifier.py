"""The classifier that judges slices and scans, for the app, the API and Python."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from brainai.data.images import ImageSource, restore
from brainai.errors import DataError, OutOfScope
from brainai.evaluation.report_file import report_of
from brainai.evaluation.sections import point_with_outcome
from brainai.inference.engine import wanted_engine, with_engine
from brainai.inference.scan import Progress, ScanPrediction, ScanProgress, judge_scan
from brainai.inference.sequences import (
    MASK_LEVEL,
    ScanSource,
    open_sequences,
    stack_sequences,
)
from brainai.model.answer import Answer, answer
from brainai.model.fetch import Fetched, fetch_model
from brainai.model.folder import REPORT, ModelInfo, load_model, load_scope
from brainai.model.network import BrainNet
from brainai.model.scope import Scope, refusal_of_scan, refusals

Item: TypeAlias = ImageSource | Mapping[str, ImageSource | None]
CANNOT_JUDGE = "Cannot judge"


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer for one slice.

    Attributes:
        label: "Tumor" if `probability` is at least `threshold`, else "No Tumor"; "Cannot judge" if
            there is a `reason`.
        probability: probability of tumor in [0, 1], calibrated if `info.calibrated` is true. If the
            slice cannot be judged, it is None, as are mask and heatmap.
        threshold: the model's operating point, a probability.
        mask: where the network sees tumor, `[H, W]` bool at the size of the picture; an estimate of
            extent, given whatever the label is. None if the model has no decoder.
        heatmap: evidence for "Tumor" in the class score, `[H, W]` float32 in [0, 1], highest at 1.
            It is coarse and not an outline. The probability also depends on the mask score. All
            slices share a scale (`cam.heat`), so that a slice without evidence stays near 0. None
            if the model's head allows no exact map.
        reason: why the slice cannot be judged, in a few words such as "color picture"; else None.
    """

    label: str
    probability: float | None
    threshold: float
    mask: np.ndarray | None
    heatmap: np.ndarray | None
    reason: str | None = None

    @classmethod
    def refused(cls, reason: str, info: ModelInfo) -> "Prediction":
        """Return the answer "Cannot judge"."""
        return cls(CANNOT_JUDGE, None, info.threshold, None, None, reason)

    def area_cm2(self, pixel_mm: float | None) -> float | None:
        """Return the area of the mask in cm², or None without a mask or without a pixel size.

        Args:
            pixel_mm: side of the square pixels in mm.
        """
        if self.mask is None or pixel_mm is None:
            return None
        return float(self.mask.sum()) * pixel_mm**2 / 100


class Classifier:
    """A loaded model that judges slices and scans. It keeps no state between calls.

    >>> classifier = Classifier.load("weights")
    >>> classifier.predict("examples/tumor_frontal.png").label
    'Tumor'
    """

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
        """Load a model from a folder or from the Hub.

        The attribute `weights` says which weights were loaded and from where. The attribute
        `report` is the content of their report.json, or None if there is none.

        Args:
            name: a model folder, of BrainAI or of a timm classifier with two classes; or
                `owner/name` or `owner/name@revision` on the Hub; see `fetch_model`.
            device: device to compute on; None takes the GPU if there is one.
            fallback: model folder to load if the Hub cannot be reached; `weights.notice` then says
                so.
            engine: `auto`, `torch`, `openvino` or `int8`, for the CPU (`brainai.inference.engine`);
                None takes the value of BRAINAI_ENGINE, by default `auto`.
        Raises:
            WeightsError: a file is missing, damaged, of another kind or too new.
            HubError: the Hub has no such model, or cannot be reached.
            ConfigError: the engine is unknown or not installed.
        """
        weights = fetch_model(name, None if fallback is None else Path(fallback))
        network, info = load_model(weights.folder)
        report = report_of(weights.folder / REPORT, info.revision)
        info = replace(info, operating_point=point_with_outcome(info.operating_point, report))
        if weights.repository is not None and weights.commit is not None:
            info = replace(info, name=weights.repository)  # its folder is named after its commit
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if torch.device(device).type == "cpu":
            engine = engine or wanted_engine()
            network = with_engine(network.eval(), info, engine, weights.folder)
        return cls(network, info, device, load_scope(weights.folder), weights, report)

    def predict(
        self,
        flair: ImageSource,
        t1c: ImageSource | None = None,
        t2: ImageSource | None = None,
    ) -> Prediction:
        """Judge a slice.

        A picture that can be read but is not a FLAIR slice raises no error: its label is "Cannot
        judge".

        Args:
            flair: path or bytes of a picture, or of the DICOM file of a slice; PIL image; or array
                `[H, W]` of any gray levels.
            t1c, t2: the same slice in the other sequences, with the same size, if available.
        Raises:
            DataError: a file cannot be read, or the sequences do not match; the message can be
                shown to visitors.
        """
        return self.predict_batch([{"flair": flair, "t1c": t1c, "t2": t2}])[0]

    def predict_batch(self, items: Iterable[Item], batch_size: int = 16) -> list[Prediction]:
        """Judge many slices and return the answers in the same order.

        Args:
            items: FLAIR slices, or mappings with the keys flair, t1c and t2.
            batch_size: slices per forward pass; limits the memory.
        Raises:
            DataError: a slice cannot be read; the message names the first one, and there are no
                answers. Call `predict` for each slice to skip unreadable ones.
        """
        items = list(items)
        answers: list[Prediction] = []
        for start in range(0, len(items), batch_size):
            chunk = enumerate(items[start : start + batch_size], start)
            answers += self._predict([self._prepare_nth(n, item, len(items)) for n, item in chunk])
        return answers

    def predict_scan(
        self,
        flair: ScanSource,
        t1c: ScanSource | None = None,
        t2: ScanSource | None = None,
        progress: Progress | None = None,
        batch_size: int = 4,
    ) -> ScanPrediction:
        """Judge a scan: each of its slices, and the scan as a whole.

        Args:
            flair: a NIfTI or MetaImage file, the folder or zip file of a DICOM series, or a
                `Volume`. It may be stored in any orientation; axial slices are judged.
            t1c, t2: other sequences of the same examination, if available; they are resampled to
                the voxels of FLAIR by their headers.
            progress: called after each batch with the number of judged slices and the total.
            batch_size: slices per forward pass; limits the memory. On a CPU more slices take more
                memory (about 30 MB each at 256 pixels) and are hardly faster.
        Raises:
            OutOfScope: the slices together do not look like axial FLAIR, or the DICOM header says
                that the series is another sequence.
            DataError: a scan cannot be judged; the message can be shown to visitors.
        """
        for step in self.follow_scan(flair, t1c, t2, batch_size):
            if isinstance(step, ScanPrediction):
                prediction = step
            elif progress is not None:
                progress(step.done, step.total)
        return prediction

    def follow_scan(
        self,
        flair: ScanSource,
        t1c: ScanSource | None = None,
        t2: ScanSource | None = None,
        batch_size: int = 4,
    ) -> Iterator[ScanProgress | ScanPrediction]:
        """Judge a scan step by step: yield a `ScanProgress` after each batch, and the answer last.

        The work stops when the generator is closed. Arguments and errors are those of
        `predict_scan`.
        """
        volumes = open_sequences({"flair": flair, "t1c": t1c, "t2": t2}, self.info.modalities)
        yield from judge_scan(self._judge, self._refusal_of_scan, self.info, volumes, batch_size)

    def _prepare_nth(self, index: int, item: Item, count: int) -> tuple[np.ndarray, int, int] | str:
        """Return the result of `stack_sequences`, or the reason why it cannot be judged."""
        sources = item if isinstance(item, Mapping) else {"flair": item}
        try:
            prepared = stack_sequences(sources, self.info.image_size, self.info.modalities)
        except OutOfScope as error:
            return error.reason
        except DataError as error:
            if count == 1:
                raise
            raise DataError(f"Slice {index + 1} of {count}: {error}", error.code) from error
        return self._refusals(prepared[0][None])[0] or prepared

    def _predict(self, slices: Sequence[tuple[np.ndarray, int, int] | str]) -> list[Prediction]:
        """Return the answers for prepared slices, and refusals for the reasons among them."""
        judged = self._predict_prepared([item for item in slices if not isinstance(item, str)])
        return [
            Prediction.refused(item, self.info) if isinstance(item, str) else next(judged)
            for item in slices
        ]

    def _predict_prepared(
        self, slices: Sequence[tuple[np.ndarray, int, int]]
    ) -> Iterator[Prediction]:
        """Yield the answers for prepared slices, with mask and heat map at the size of each."""
        if not slices:
            return
        answers = self._judge(np.stack([planes for planes, _, _ in slices]), explain=True)
        probabilities = answers.probabilities.tolist()
        masks, heatmaps = answers.masks(), answers.heatmaps(self.info.score_weights[0])
        for index, (_, height, width) in enumerate(slices):
            mask, heatmap = (
                None if maps is None else restore(maps[index], height, width)
                for maps in (masks, heatmaps)
            )
            yield Prediction(
                label=self.info.label_names[int(probabilities[index] >= self.info.threshold)],
                probability=probabilities[index],
                threshold=self.info.threshold,
                mask=None if mask is None else mask >= MASK_LEVEL,
                heatmap=heatmap,
            )

    def _judge(self, planes: np.ndarray, *, explain: bool = False) -> Answer:
        """Run the network on prepared slices, `[N, 3, S, S]` in [0, 1]; see `answer`."""
        images = torch.from_numpy(planes).to(self.device)
        return answer(self._network, self.info, images, explain=explain)

    def _refusals(self, planes: np.ndarray) -> list[str | None]:
        """Return the reason to refuse each of `[N, 3, S, S]` prepared slices, or None for it."""
        return refusals(torch.from_numpy(planes[:, :1]).to(self.device), self._scope)

    def _refusal_of_scan(self, planes: np.ndarray) -> str | None:
        """Return the reason to refuse the scan of `[N, 3, S, S]` prepared slices, or None."""
        return refusal_of_scan(torch.from_numpy(planes[:, :1]).to(self.device), self._scope)
