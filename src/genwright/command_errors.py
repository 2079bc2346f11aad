"""Errors of the command line, each as one sentence that says what a person can do about it."""

import errno
import os
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from genwright.core.errors import GenwrightError, did_you_mean, out_of_memory

REMEDIES = {  # of errors of the system
    errno.ENOSPC: "free some space, then go on with --resume",
    errno.EROFS: "name a folder that can be written",
    errno.EACCES: "change its permissions, or name another folder",
    errno.EPERM: "change its permissions, or name another folder",
}


def complaint(error: Exception, words: Sequence[str]) -> tuple[str, bool]:
    """An error in one line, and whether a person can put it right; else it is a fault of the
    program. words: of the command line."""
    known: object
    if hasattr(error, "format_message"):  # of typer
        known = _usage(error, words)
    else:
        known = failure(error)
    fault = (
        f"{type(error).__name__}: {error}; this is a fault of genwright:"
        " run again with --debug, and report what it prints."
    )
    sentence = str(known or fault)
    return " ".join(sentence.split()), bool(known)


def failure(error: BaseException) -> GenwrightError | None:
    """What a person can do about an error that is not the program's fault; None for one that is."""
    if isinstance(error, GenwrightError):
        return error
    if out_of_memory(error):
        return GenwrightError(
            "out of memory",
            "lower training.micro_batch first (the result stays; --resume takes it),"
            " then the model's width or depth, or data.context",
        )
    if isinstance(error, OSError) and error.errno:
        what = str(error.strerror or error)
        if error.filename:
            what = f"{error.filename}: {error.strerror}"
        return GenwrightError(what, REMEDIES.get(error.errno, "check the path"))
    return None


def _usage(error: Any, words: Sequence[str]) -> str:
    """Typer's complaint about the words of a command line, as one sentence with a remedy."""
    from genwright.recipe.mistyped import option_meant

    context = getattr(error, "ctx", None)
    option = getattr(error, "option_name", "")
    remedy = option_meant(option, getattr(context, "info_name", ""), words)
    if remedy:
        end = "" if remedy.endswith("?") else "."
        return f"{error.message.rstrip('.')}; {remedy}{end}"
    text: str = error.format_message().strip().rstrip(".")
    near = list(getattr(error, "possibilities", None) or [])
    if near:
        text = error.message.rstrip(".")
        if _is_close(option, near):
            text = f"{text}; {did_you_mean(option, near)}"
    text = text.replace(". Did you mean", "; did you mean")
    if "did you mean" in text:
        return text
    command = getattr(context, "command_path", "genwright")
    return f"{text}; see `{command} --help`."


def _is_close(option: str, known: Sequence[str]) -> bool:
    """Whether an option is spelled much like a known one."""
    names = [name.strip("-") for name in known]
    return bool(get_close_matches(option.strip("-"), names, n=1, cutoff=0.65))


def check_encoding(word: str) -> None:
    """Raises GenwrightError for a word whose bytes are no UTF-8: no recipe, record or page could
    hold it."""
    try:
        word.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(word).decode("utf-8", "backslashreplace")
        remedy = "write it in UTF-8; of a file with such a name, give the folder"
        raise GenwrightError(f"a word of the command line is not UTF-8: {shown}", remedy) from None
