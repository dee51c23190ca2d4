"""The compiled network gives the same answers as torch, and is always optional."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faults import listing, small_files

from brainai.data.images import decode
from brainai.errors import ConfigError, StorageError
from brainai.inference import engine
from brainai.inference.classifier import Classifier, Prediction
from brainai.inference.engine import CompiledNet, with_engine
from brainai.model.folder import ModelInfo, load_model, write_model
from brainai.model.network import BrainNet, build_network

pytest.importorskip("openvino")

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "brainai" / "engines"


@pytest.fixture(scope="module")
def first_start(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's cache after a first start."""
    home = tmp_path_factory.mktemp("first") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home))
        assert is_compiled(Classifier.load(model_folder, engine="openvino"))
    return home


@pytest.fixture
def filled(first_start: Path, cache: Path) -> Path:
    """A cache folder of the test's own, in the state after a first start."""
    shutil.copytree(first_start, cache.parents[1])
    return cache


@pytest.fixture(scope="module", autouse=True)
def converted() -> Iterator[None]:
    """Converting a network takes seconds: it is done once for all tests of the same network."""
    convert, models = engine.convert, {}

    def once(openvino: Any, network: BrainNet, size: int) -> Any:
        weights = [tensor.numpy().tobytes() for tensor in network.state_dict().values()]
        name = hashlib.sha256(b"".join(weights)).hexdigest(), size
        if name not in models:
            models[name] = convert(openvino, network, size)
        return models[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "convert", once)
        yield


def slices(count: int, size: int = 64) -> list[np.ndarray]:
    """Heads: bright discs with texture, and a brighter spot in each."""
    y, x = np.mgrid[:size, :size] - size / 2
    random = np.random.default_rng(0)
    head = np.hypot(x, y) < 0.4 * size
    drawn = []
    for _ in range(count):
        spot = np.hypot(x - random.uniform(-12, 12), y - random.uniform(-12, 12)) < 5
        drawn.append(head * (80 + 30 * random.random(head.shape) + 100 * spot))
    return [plane.astype(np.uint8) for plane in drawn]


def is_compiled(classifier: Classifier) -> bool:
    return isinstance(classifier._network, CompiledNet)


def assert_alike(one: list[Prediction], other: list[Prediction], tolerance: float) -> None:
    for own, compiled in zip(one, other, strict=True):
        assert (own.probability is None) == (compiled.probability is None)
        if own.probability is not None:
            assert compiled.probability == pytest.approx(own.probability, abs=tolerance)
            assert np.abs(compiled.heatmap - own.heatmap).max() < 10 * tolerance
            assert (compiled.mask != own.mask).mean() < tolerance


@pytest.mark.slow
def test_openvino_gives_the_same_answers_as_torch(model_folder: Path) -> None:
    own, compiled = (Classifier.load(model_folder, engine=name) for name in ("torch", "openvino"))
    assert is_compiled(compiled) and not is_compiled(own)
    first, second = (each.predict_batch(slices(20)) for each in (own, compiled))
    assert_alike(first, second, 0.005)


def varied_examples() -> list[np.ndarray]:
    """The eight examples, as they are and mirrored, each darker and brighter: 32 slices. Drawn
    slices would not do: the shipped weights judge none of `slices`."""
    pictures = [decode(file) for file in sorted((ROOT / "examples").glob("*.png"))]
    return [
        (255 * (turned / 255) ** gamma).round().astype(np.uint8)
        for picture in pictures
        for turned in (picture, picture[:, ::-1])
        for gamma in (0.8, 1.25)
    ]


@pytest.fixture(scope="module")
def answers_of_torch() -> list[Prediction]:
    """What the shipped weights say of `varied_examples` with torch."""
    answers = Classifier.load(ROOT / "weights", "cpu", engine="torch").predict_batch(
        varied_examples()
    )
    assert len(answers) == 32
    assert sum(answer.probability is not None for answer in answers) > 24  # few are refused
    return answers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("openvino", 0.03),  # one may round to bfloat16 where the other does not
        ("int8", 0.1),  # on real slices the largest difference was 0.086 (docs/experiments.md, 11)
    ],
)
def test_the_shipped_weights_give_the_same_answers_as_torch(
    answers_of_torch: list[Prediction], name: str, tolerance: float
) -> None:
    compiled = Classifier.load(ROOT / "weights", "cpu", engine=name)
    assert is_compiled(compiled)
    assert_alike(answers_of_torch, compiled.predict_batch(varied_examples()), tolerance)


@pytest.fixture
def quantized(model_folder: Path, tmp_path: Path) -> Path:
    """A model folder with int8.xml and int8.bin. They hold the network in full precision, since
    quantizing takes seconds; tests/training/test_quantize.py does it."""
    openvino = engine.import_openvino()

    folder = shutil.copytree(model_folder, tmp_path / "quantized")
    network, info = load_model(folder)
    engine.write_int8(engine.convert(openvino, network, info.image_size), folder)
    return folder


def test_int8_on_a_full_disk_is_a_storage_error_and_the_old_files_stay(quantized: Path) -> None:
    before = listing(quantized)
    model = engine.import_openvino().Core().read_model(str(quantized / "int8.xml"))
    with small_files(1000), pytest.raises(StorageError, match=r"int8\.xml cannot be written"):
        engine.write_int8(model, quantized)
    assert listing(quantized) == before


def test_int8_in_a_missing_folder_is_a_storage_error(quantized: Path) -> None:
    model = engine.import_openvino().Core().read_model(str(quantized / "int8.xml"))
    with pytest.raises(StorageError, match="No such file or directory"):
        engine.write_int8(model, quantized / "missing")


@pytest.mark.parametrize(
    "machine, fast_bfloat16, used",
    [("x86_64", False, 1), ("AMD64", False, 1), ("x86_64", True, 0), ("arm64", False, 0)],
)
def test_int8_is_chosen_only_on_x86_without_fast_bfloat16(
    quantized: Path, monkeypatch: pytest.MonkeyPatch, machine: str, fast_bfloat16: bool, used: int
) -> None:
    calls = []
    monkeypatch.setattr(engine.platform, "machine", lambda: machine)
    compile_int8 = engine.compile_int8
    monkeypatch.setattr(engine, "has_fast_bfloat16", lambda: fast_bfloat16)
    monkeypatch.setattr(
        engine, "compile_int8", lambda *given: calls.append(given) or compile_int8(*given)
    )
    assert is_compiled(Classifier.load(quantized, engine="auto"))
    assert len(calls) == used
    Classifier.load(quantized, engine="int8")
    assert len(calls) == used + 1


@pytest.mark.slow
@pytest.mark.parametrize("change", ["other weights", "cut bin", "cut xml", "no bin", "no xml"])
def test_int8_files_that_do_not_match_their_folder_are_never_used(
    quantized: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    what, kind = change.split()
    file = quantized / f"int8.{kind}"
    if change == "other weights":
        other = build_network("test_resnet")
        write_model(quantized.parent / "other", other, ModelInfo("test_resnet", image_size=64))
        shutil.rmtree(quantized / "figures", ignore_errors=True)
        for written in (quantized.parent / "other").iterdir():
            shutil.copy(written, quantized)
    elif what == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        file.unlink()
    monkeypatch.setattr(engine, "compile_int8", None)  # calling it would be an error
    assert is_compiled(Classifier.load(quantized, engine="auto"))
    with pytest.raises(ConfigError, match=r"int8\.xml"):
        Classifier.load(quantized, engine="int8")


@pytest.mark.slow
def test_openvino_sends_no_telemetry(model_folder: Path) -> None:
    """In a process of its own, because other tests may have imported its telemetry."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\n"
            "from brainai.inference.classifier import Classifier\n"
            "Classifier.load(sys.argv[1], 'cpu', engine='openvino')\n"
            "from openvino.tools.ovc import convert_impl, telemetry_utils\n"
            "print(convert_impl.tm.__name__, telemetry_utils.tm.__name__)\n"
            "print([name for name in sys.modules if name.startswith('openvino_telemetry.')])",
            model_folder,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    stub = "openvino.tools.ovc.telemetry_stub"
    assert done.stdout.splitlines() == [f"{stub} {stub}", "[]"]


@pytest.mark.slow
def test_a_model_without_a_decoder_is_compiled_too(tmp_path: Path) -> None:
    network = build_network("test_resnet", decoder=False)
    info = ModelInfo(architecture="test_resnet", image_size=64, decoder=False)
    write_model(tmp_path / "plain", network, info)
    own, compiled = (
        Classifier.load(tmp_path / "plain", engine=name) for name in ("torch", "openvino")
    )
    first, second = own.predict(slices(1)[0]), compiled.predict(slices(1)[0])
    assert first.mask is second.mask is None
    assert second.probability == pytest.approx(first.probability, abs=0.005)


def test_a_compiled_network_keeps_only_the_weights_of_the_head(model_folder: Path) -> None:
    compiled = Classifier.load(model_folder, engine="openvino")._network
    kept = {name for name, value in compiled.state_dict().items() if value.numel()}
    assert kept == {"classifier.fc.weight", "classifier.fc.bias"}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["test_convnext", "test_efficientnet", "test_vit"])
def test_networks_with_other_heads_answer_after_their_weights_are_freed(
    architecture: str, tmp_path: Path
) -> None:
    decoder = architecture != "test_vit"
    size = 160 if architecture == "test_vit" else 64
    torch.manual_seed(0)
    network = build_network(architecture, decoder=decoder)
    write_model(tmp_path, network, ModelInfo(architecture, image_size=size, decoder=decoder))
    own, compiled = (Classifier.load(tmp_path, engine=name) for name in ("torch", "openvino"))
    assert is_compiled(compiled)
    first, second = (each.predict(slices(1, size)[0]) for each in (own, compiled))
    assert second.probability == pytest.approx(first.probability, abs=0.005)


def test_a_second_start_converts_nothing_again(
    model_folder: Path, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "convert", None)  # calling it would be an error
    second = Classifier.load(model_folder, engine="openvino")
    assert is_compiled(second)
    assert [path.name[:12] for path in filled.iterdir()] == [second.info.revision[:12]]


def test_a_damaged_cache_is_rebuilt(model_folder: Path, filled: Path) -> None:
    (file,) = filled.glob("*/maps.xml")
    file.write_text(file.read_text()[:400])
    assert is_compiled(Classifier.load(model_folder, engine="openvino"))
    assert len(file.read_text()) > 400


def test_the_cache_keeps_the_three_newest_networks(model_folder: Path, cache: Path) -> None:
    for age, name in enumerate(("newer", "old", "older"), start=1):
        (cache / f"{name}-64-openvino-2025.2.0").mkdir(parents=True)
        os.utime(cache / f"{name}-64-openvino-2025.2.0", (time.time() - 60 * age,) * 2)
    revision = Classifier.load(model_folder, engine="openvino").info.revision
    assert {path.name.split("-")[0] for path in cache.iterdir()} == {"newer", "old", revision}


def test_a_network_that_another_process_deletes_does_not_stop_the_start(
    model_folder: Path, cache: Path
) -> None:
    cache.mkdir(parents=True)
    (cache / "gone-64-openvino-2025.2.0").symlink_to(cache / "nowhere")  # it is listed, but gone
    assert is_compiled(Classifier.load(model_folder, engine="openvino"))


def test_an_unwritable_cache_does_not_prevent_compilation(model_folder: Path, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file in the place of the folder")
    assert is_compiled(Classifier.load(model_folder, engine="openvino"))


def test_without_openvino_torch_is_used_unless_openvino_is_requested(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    assert not is_compiled(Classifier.load(model_folder, engine="auto"))

    def missing(name: str):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(engine, "import_module", missing)
    with pytest.raises(ConfigError, match="pip install openvino"):
        Classifier.load(model_folder, engine="openvino")


def test_torch_is_used_if_openvino_gives_different_maps(
    model_folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = CompiledNet.maps
    monkeypatch.setattr(
        CompiledNet, "maps", lambda self, images: tuple(m * 1.1 for m in right(self, images))
    )
    assert not is_compiled(Classifier.load(model_folder, engine="auto"))
    assert not list(cache.glob("*"))
    with pytest.raises(ConfigError, match="OpenVINO"):
        Classifier.load(model_folder, engine="openvino")


def test_the_environment_variable_selects_the_engine_and_wrong_names_are_refused(
    model_folder: Path, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAINAI_ENGINE", "openvino")
    assert is_compiled(Classifier.load(model_folder))
    monkeypatch.setenv("BRAINAI_ENGINE", "fast")
    with pytest.raises(
        ConfigError, match="BRAINAI_ENGINE: expected one of auto, torch, openvino, int8"
    ):
        Classifier.load(model_folder)


@pytest.mark.slow
def test_concurrent_callers_get_their_own_answers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: BrainNet = build_network("test_resnet").eval()
    info = ModelInfo("test_resnet", image_size=64)
    compiled = with_engine(network, info, "openvino", tmp_path)
    inputs = [torch.rand(1, 3, 64, 64) for _ in range(24)]
    with torch.inference_mode():
        alone = [compiled(each).logits for each in inputs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda each: compiled(each).logits.detach(), inputs))
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other)
