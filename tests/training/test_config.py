"""The recipe as data, and its command line."""

from dataclasses import fields

import pytest

from brainai.errors import ConfigError
from brainai.model.folder import ModelInfo, read_model_info
from brainai.training.config import PRESETS, Stage, TrainConfig, parse_config
from brainai.training.start import check_start, origin, pinned


def test_every_preset_parses_and_its_picture_sizes_never_shrink() -> None:
    for preset in PRESETS:
        config = parse_config(["--preset", preset, "--data", "d", "--out", "o"])
        sizes = [stage.image_size for stage in config.stages]
        assert sizes == sorted(sizes)


def test_the_default_recipe_trains_the_head_before_the_body_at_every_size() -> None:
    stages = PRESETS["default"]["stages"]
    assert [(s.image_size, s.train) for s in stages] == [
        (64, "head"),
        (64, "all"),
        (128, "head"),
        (128, "all"),
        (256, "head"),
        (256, "all"),
    ]


def test_a_flag_overrides_its_preset() -> None:
    config = parse_config(
        ["--preset", "smoke", "--data", "d", "--out", "o", "--seed", "7", "--stages.1.lr", "0.5"]
    )
    assert config.seed == 7
    assert config.stages[1].lr == 0.5
    assert config.stages[2].lr == PRESETS["smoke"]["stages"][2].lr


def test_help_names_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_config(["--help"])
    shown = capsys.readouterr().out
    for field in fields(TrainConfig):
        assert field.name.replace("_", "-") in shown, field.name


@pytest.mark.parametrize(
    "preset",
    [
        ["--preset", "smoke"],
        ["--preset=smoke"],
        ["--preset", "scratch", "--preset=smoke"],  # the last one counts, as for every option
        ["--preset=scratch", "--preset", "smoke"],
    ],
)
def test_a_preset_can_be_given_in_either_form_and_at_any_position(preset: list[str]) -> None:
    others = ["--data", "d", "--out", "o", "--stages.1.lr", "0.5", "--no-decoder"]
    for arguments in ([*preset, *others], [*others, *preset]):
        config = parse_config(arguments)
        assert config.architecture == "test_resnet"
        assert config.stages[1].lr == 0.5
        assert not config.decoder


@pytest.mark.parametrize("preset", [["--preset", "quick"], ["--preset=quick"]])
def test_the_error_for_an_unknown_preset_lists_the_known_ones(preset: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"default, scratch, further, smoke, found 'quick'"):
        parse_config(["--preset", "smoke", *preset])


def test_a_preset_without_a_name_or_an_abbreviated_option_is_refused() -> None:
    with pytest.raises(ConfigError, match="found ''"):
        parse_config(["--data", "d", "--out", "o", "--preset"])
    with pytest.raises(ConfigError, match="found ''"):
        parse_config(["--preset", "--data", "d", "--out", "o"])
    with pytest.raises(SystemExit) as ended:
        parse_config(["--pre", "smoke", "--data", "d", "--out", "o"])
    assert ended.value.code == 2


def test_all_problems_of_a_configuration_are_reported_together() -> None:
    stages = (Stage(100, epochs=1, lr=1e-3), Stage(64, epochs=0, lr=1e-3))
    with pytest.raises(ConfigError) as error:
        TrainConfig(data="d", out="o", stages=stages, warm_up=2)
    assert "found 100" in str(error.value)
    assert "stage 1: expected epochs" in str(error.value)
    assert "--warm-up" in str(error.value)


def test_the_recipe_contains_no_paths() -> None:
    config = parse_config(["--preset", "smoke", "--data", "/somewhere/d", "--out", "/elsewhere/o"])
    assert "where" not in str(config.recipe())


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"architecture": "resnet18"}, "resnet18"),
        ({"decoder": False}, "False"),
        ({"mean": (0.5, 0.5, 0.5)}, "0.5"),
        ({"std": (0.3, 0.3, 0.3)}, "0.3"),
    ],
)
def test_an_incompatible_starting_network_is_refused_before_training(
    other: dict, word: str
) -> None:
    config = parse_config(["--preset", "scratch", "--data", "d", "--out", "o", "--init-from", "m"])
    check_start(config, ModelInfo())
    with pytest.raises(ConfigError, match=f"m: expected .*, found .*{word}"):
        check_start(config, ModelInfo(**other))


def test_a_negative_number_of_scope_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--scope-steps: expected 0 \(none\) or more, found -1"):
        parse_config(["--data", "d", "--out", "o", "--scope-steps", "-1"])


def test_weights_record_what_they_started_from(model_folder) -> None:
    def start(*options: str) -> str:
        config = parse_config(["--preset", "smoke", "--data", "d", "--out", "o", *options])
        return origin(config, [])["started_from"]

    assert start() == "random weights"
    assert start("--pretrained", "--architecture", "resnet50").startswith("timm/resnet50")
    assert start("--init-from", "owner/name@1234") == "owner/name@1234"
    info = read_model_info(model_folder)
    assert start("--init-from", str(model_folder)) == f"the weights {info.revision} of {info.name}"


def test_weights_record_their_command_without_paths_and_without_resume() -> None:
    config = parse_config(["--preset", "smoke", "--data", "d", "--out", "o"])
    told = origin(
        config, ["brainai", "train", "--data", "/a/machine/data", "--resume", "--seed=3"]
    )["command"]
    assert told == "brainai train --data data --seed=3"


def test_a_run_that_starts_from_a_folder_or_from_scratch_is_not_pinned(model_folder) -> None:
    for options in ([], ["--init-from", str(model_folder)]):
        config = parse_config(["--preset", "smoke", "--data", "d", "--out", "o", *options])
        assert pinned(config) == config


@pytest.mark.parametrize(
    ("stage", "good"),
    [
        ({}, True),
        ({"image_size": 32}, True),
        ({"image_size": 0}, False),
        ({"image_size": 48}, False),
        ({"epochs": 0}, False),
        ({"batch_size": 2}, True),
        ({"batch_size": 1}, False),
        ({"lr": 0.0}, False),
        ({"lr_spread": 1.0}, True),
        ({"lr_spread": 0.9}, False),
    ],
)
def test_the_options_of_a_stage_are_checked_at_their_limits(stage: dict, good: bool) -> None:
    stages = (Stage(**{"image_size": 64, "epochs": 1, "lr": 1e-3} | stage),)
    if good:
        assert TrainConfig(data="d", out="o", stages=stages).image_size == stages[0].image_size
    else:
        with pytest.raises(ConfigError, match="stage 0: "):
            TrainConfig(data="d", out="o", stages=stages)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("drop_path", [0.0, 0.99], [-0.01, 1.0]),
        ("average", [0.0, 0.99], [-0.01, 1.0]),
        ("warm_up", [0.01, 0.99], [0.0, 1.0]),
        ("slices_per_case", [0, 1], [-1]),
        ("scope_steps", [0, 1], [-1]),
    ],
)
def test_the_options_of_a_run_are_checked_at_their_limits(name: str, good: list, bad: list) -> None:
    stages = (Stage(64, epochs=1, lr=1e-3),)
    for value in good:
        TrainConfig(data="d", out="o", stages=stages, **{name: value})
    for value in bad:
        with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')}: .*found {value}"):
            TrainConfig(data="d", out="o", stages=stages, **{name: value})


def test_a_configuration_without_a_stage_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one stage"):
        TrainConfig(data="d", out="o", stages=())
