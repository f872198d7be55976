"""A template of this folder written as one self-contained HTML file: no script, no request, nothing but the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transferlm.atomic import replace_file
from transferlm.errors import SettingError

__all__ = ["write_page"]


def write_page(path: str | Path, template: str, variables: Mapping[str, Any]) -> None:
    """Fill in a template and write the page; its folder is made, and a page that stands there is replaced in one step.

    Args:
        path: Where to.
        template: Name of a file beside this one; text is escaped where it is filled in.
        variables: What the template names, all of it.

    Raises:
        SettingError: The file can't be written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = environment.get_template(template).render(variables)
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, shown.encode())
    except OSError as error:
        raise SettingError(f"{target}: the report can't be written ({error.strerror}); name another file") from None
