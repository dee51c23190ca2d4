"""Templates escape their values, and require every value that they name."""

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from modules import ROOT, name

from brainai.markup import Markup, render

TEMPLATES = sorted((ROOT / "brainai" / "templates").iterdir())


def test_text_is_escaped_and_markup_is_not() -> None:
    card = render("message_card.html", kind="done", title="a <b> & c", sentence=Markup("<i>d</i>"))
    assert "<h2>a &lt;b&gt; &amp; c</h2>" in card
    assert "<p><i>d</i></p>" in card
    assert "<h2>" in render("progress_card.html", words="", done=0, total=0, shown=card)


def test_a_missing_value_raises_an_error() -> None:
    with pytest.raises(UndefinedError, match="notices"):
        render("title.html")


@pytest.mark.parametrize("template", TEMPLATES, ids=name)
def test_no_template_disables_escaping(template: Path) -> None:
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", template.read_text())


def test_every_template_is_rendered_or_used_by_another_one() -> None:
    files = [*(ROOT / "brainai").rglob("*.py"), *TEMPLATES]
    used = {found for file in files for found in re.findall(r'"(\w+\.html)"', file.read_text())}
    assert {template.name for template in TEMPLATES} <= used
