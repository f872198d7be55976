"""A method's own flags: read from the catalog once the method is named, parsed by its annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from transferlm import catalog
from transferlm.errors import SettingError

__all__ = ["Plug", "PluggedCommand", "built", "settings_of"]


@dataclass(frozen=True)
class Plug:
    """A parameter of a command that names plug-ins.

    Attributes:
        parameter: The command's parameter (`strategy`, or `model` for an argument).
        kind: A key of `catalog.KINDS`.
        prefix: What stands before a flag: nothing, a fixed word (`tokenizer.`), or `{name}.` for the method's name.
        only: How the names of those hyper-parameters end that are flags here; empty for all.
    """

    parameter: str
    kind: str
    prefix: str = ""
    only: str = ""

    def flag(self, name: str, field: str) -> str:
        """A hyper-parameter's flag; hyphens and underscores are one when it is typed."""
        return f"--{self.prefix.format(name=name)}{field}" if self.prefix else f"--{field.replace('_', '-')}"


class _Value(click.ParamType[Any]):
    """A hyper-parameter's value, as its annotation says."""

    def __init__(self, field: catalog.HyperParameter) -> None:
        self.field, self.name = field, field.annotation

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.field.parse(value)
        except SettingError as error:
            self.fail(str(error), param, ctx)


class PluggedCommand(click.Command):
    """A command whose flags depend on the methods named in its arguments."""

    plugs: Sequence[Plug] = ()

    # click calls these two; a command's docstring is its help text, so they have none.
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given: dict[tuple[str, str], dict[str, Any]] = {}
        chosen = [(plug, name) for plug in self.plugs for name in self._named(plug, args)]
        ctx.meta[_GIVEN] = given
        ctx.meta[_OPTIONS] = [option for plug, name in chosen for option in _options(plug, name, given)]
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        standing = super().get_params(ctx)
        return [*standing[:-1], *ctx.meta.get(_OPTIONS, ()), *standing[-1:]]

    def _named(self, plug: Plug, args: Sequence[str]) -> Iterator[str]:
        """The plug-ins that the words of the command line name, or the parameter's default."""
        parameter = next(p for p in self.params if p.name == plug.parameter)
        known = catalog.entries(plug.kind)
        if isinstance(parameter, click.Argument):
            yield from [word for word in args if word in known][:1]
            return
        words = [word for flag in parameter.opts for word in _values(flag, args)]
        default = parameter.default
        fallback = list(default) if isinstance(default, list | tuple) else [default] if default else []
        yield from dict.fromkeys(word for word in words or fallback if word in known)


def _values(flag: str, args: Sequence[str]) -> Iterator[str]:
    for word, following in zip(args, [*args[1:], ""], strict=False):
        if word == flag:
            yield following
        elif word.startswith(f"{flag}="):
            yield word.partition("=")[2]


def _options(plug: Plug, name: str, given: dict[tuple[str, str], dict[str, Any]]) -> Iterator[click.Option]:
    def keeper(field: str) -> Callable[[click.Context, click.Parameter, Any], None]:
        def keep(_: click.Context, __: click.Parameter, value: Any) -> None:
            if value is not _UNSET:
                given.setdefault((plug.parameter, name), {})[field] = value

        return keep

    for field in catalog.entry(plug.kind, name).hyper_parameters:
        if not field.name.endswith(plug.only):
            continue
        yield click.Option(
            [plug.flag(name, field.name), f"{plug.parameter}.{name}.{field.name}".replace(".", "_")],
            type=_Value(field),
            metavar=field.choices or field.annotation.upper(),
            default=_UNSET,
            expose_value=False,
            callback=keeper(field.name),
            help=f"[{name}] {field.help}  (default {field.default})",
        )


_GIVEN, _OPTIONS = "transferlm.given", "transferlm.options"


class _Unset:
    """Stands for a flag that was not given: None is a value of its own."""

    def __repr__(self) -> str:
        return "unset"


_UNSET = _Unset()


def settings_of(parameter: str, name: str) -> dict[str, Any]:
    """The hyper-parameters given on the command line for one named method."""
    given: dict[str, Any] = click.get_current_context().meta[_GIVEN].get((parameter, name), {})
    return given


def built(kind: str, parameter: str, name: str) -> Any:
    """The plug-in `name`, made with the hyper-parameters given for it."""
    return catalog.find(kind, name)(**settings_of(parameter, name))
