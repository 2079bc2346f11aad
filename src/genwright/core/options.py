"""What commands take for a kind of content, as settings classes. Free of torch, so that --help is
quick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from genwright.core.registry import Settings, register


class Options(Settings):
    """Base of what a command (`sample`, `evaluate`) takes for a kind of content::

        class SampleOptions(Options, content="text", command="sample", things="text"):

    Each field is an option of the command line, and later of a web form: its docstring is the help,
    its bounds are checked. A field that was not given is None, False or (). `option(...)` gives an
    option another name than its field's, or says what its value is.

    things: what this kind of content is called in messages, in the plural."""

    command: ClassVar[str] = ""
    aliases: ClassVar[dict[str, str]] = {}  # other names that calls from Python may use
    things: ClassVar[str] = ""
    # field -> what is meant where it is not given, where that is neither its default nor the
    # recipe's sampling; for the help
    usual: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(
        cls, content: str = "", command: str = "", things: str = "", **config: Any
    ):
        super().__init_subclass__(**config)
        if content:
            cls.content = content
            cls.command = command
            cls.things = things or content
            register("options", f"{command} {content}", cls)

    @classmethod
    def of(cls, field: str) -> str:
        """What an option is for, in the plural: all that this kind of content is, unless a class
        says that an option fits some of it."""
        return cls.things

    @classmethod
    def parameters(cls, given: Sequence[str] = ()) -> dict[str, str]:
        """Option -> its parameter in Python. given: names that a caller used, which may be
        aliases."""
        used = {field: alias for alias, field in cls.aliases.items() if alias in given}
        names = {}
        for field in cls.model_fields:
            for option in option_name(cls, field).split(","):
                names[option] = used.get(field, field)
        return names

    def given(self) -> dict[str, Any]:
        """The options that were given."""
        return {
            name: value
            for name, value in self
            if value is not None and value is not False and value != ()
        }


def option(name: str = "", metavar: str = "", joined: str = "") -> dict[str, Any]:
    """`Field(json_schema_extra=option(...))`: the name of an option (`--continue`), and what stands
    for its value in the help. joined: what comes between its values where it is given several times
    on a command line; "": it is given once."""
    return {"option": name, "metavar": metavar, "joined": joined}


def option_name(cls: type[Options], field: str) -> str:
    """What a field is called on the command line: `--top-k`."""
    extra = cls.model_fields[field].json_schema_extra
    named = extra.get("option") if isinstance(extra, dict) else None
    return str(named) if named else "--" + field.replace("_", "-")


def listed(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def joined_by(cls: type[Options], field: str) -> str:
    """What comes between the values of an option that is given several times; "" for none."""
    extra = cls.model_fields[field].json_schema_extra
    return str(extra.get("joined") or "") if isinstance(extra, dict) else ""
