"""Commands may open as many files as the machine permits."""

import subprocess
import sys

LOWERED = """
import resource
from genwright.core.open_files import WANTED, allow_many_files

most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
allow_many_files()
found, still = resource.getrlimit(resource.RLIMIT_NOFILE)
assert still == most
print(found, WANTED if most == resource.RLIM_INFINITY else min(WANTED, most))
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
allow_many_files()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_the_limit_is_raised_as_far_as_it_goes() -> None:
    command = [sys.executable, "-c", LOWERED]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert printed[0] == printed[1]
    assert printed[2] == "64"


def test_commands_raise_it(monkeypatch) -> None:
    from genwright import cli

    raised = []
    monkeypatch.setattr(cli, "allow_many_files", lambda: raised.append(True))
    monkeypatch.setattr(cli, "leave", lambda code: None)
    cli.main(["recipes"])
    assert raised
