"""Commands let Arrow give memory back."""

import os
import subprocess
import sys

import pytest

FRESH = """
from genwright import cli

cli.leave = lambda code: None
cli.main(["recipes"])
import pyarrow

print(pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize(("chosen", "used"), [("", "system"), ("mimalloc", "mimalloc")])
def test_commands_give_memory_back_unless_another_pool_is_chosen(chosen, used) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("ARROW_")}
    if chosen:
        own["ARROW_DEFAULT_MEMORY_POOL"] = chosen
    command = [sys.executable, "-c", FRESH]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == used
