"""The command line, called as a person calls it."""

import pytest

from genwright.cli import main


def command(capsys, *words):
    """(exit code, stdout, stderr) of a command line."""
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return stopped.value.code, said.out, said.err
