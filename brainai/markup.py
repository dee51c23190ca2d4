"""HTML from the templates in `brainai/templates/`, for the app, the reports and the cohort's page.

Values are escaped, so file names and other text of visitors never become markup. Only `Markup`,
which `render` returns, is inserted unchanged.
"""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from brainai import DISCLAIMER, __version__

__all__ = ["Markup", "render"]

ENVIRONMENT = Environment(
    loader=PackageLoader("brainai"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.globals |= {"disclaimer": DISCLAIMER, "version": __version__}


def render(template: str, **values: Any) -> Markup:
    """Return the HTML of a template.

    Args:
        template: name of a file in `brainai/templates/`.
        values: what the template shows. `disclaimer` and `version` are always there.
    Raises:
        jinja2.UndefinedError: the template uses a value that is not given.
    """
    return Markup(ENVIRONMENT.get_template(template).render(values))  # noqa: S704  # it is escaped
