"""A command's process starts without what it does not need, and ends without losing anything."""

import subprocess
import sys

import pytest


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


END = """
import atexit, logging, logging.handlers, sys
atexit.register(print, "registered before: not done")
target = logging.StreamHandler(sys.stdout)
buffer = logging.handlers.MemoryHandler(9, target=target)
logging.getLogger().addHandler(buffer)
from genwright.command_process import end_at_once, leave
end_at_once()
atexit.register(print, "registered later")
class Module:
    def __del__(self):
        print("taken apart")
module = Module()
logging.warning("logged")
print("printed", end=" ")
"""


def test_the_end_does_what_was_registered_and_writes_what_waits():
    done = run(END + "leave(3)")
    assert done.returncode == 3 and done.stderr == ""
    assert done.stdout == "printed registered later\nlogged\n"


def test_without_leave_python_ends_as_it_always_does():
    done = run(END + "raise RuntimeError('a fault')")
    assert done.returncode == 1 and "a fault" in done.stderr
    assert "taken apart" in done.stdout and "registered before" in done.stdout


def test_an_output_that_cannot_be_written_is_said():
    code = "from genwright.command_process import end_at_once, leave\nend_at_once()\n"
    code += "import sys; sys.stdout = open('/dev/full', 'w'); print(1); leave(0)"
    done = run(code)
    assert "No space left" in done.stderr


@pytest.mark.parametrize(
    "recipe, wanted, others",
    [
        ("ring-gan", "points", ("images", "music", "text")),
        ("digits-vae", "images", ("points", "music")),
    ],
)
def test_a_recipe_imports_the_rooms_of_its_own_content_alone(recipe, wanted, others):
    code = f"""
import sys
from genwright.recipe.schema import Recipe
Recipe.load({recipe!r})
assert "genwright.contents.{wanted}.data" in sys.modules
for room in {others!r}:
    for family in ("codec", "content"):
        module = f"genwright.contents.{{room}}.{{family}}"
        assert module not in sys.modules, module
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_a_kind_is_found_whether_or_not_its_name_stands_in_a_file():
    code = """
from genwright.core.registry import kinds, settings_of
found = settings_of("objective", "causal")
assert found is kinds("objective")["causal"]
assert len(kinds("objective")) > 3
try:
    settings_of("objective", "casual")
except Exception as error:
    assert "causal" in str(error), error
else:
    raise AssertionError
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_garbage_is_collected_again_after_imports():
    code = """
import gc, sys
from genwright.command_process import quick_imports
with quick_imports():
    assert not gc.isenabled()
    import torch
assert gc.isenabled() and gc.get_freeze_count() > 1000
with quick_imports():
    assert gc.isenabled()
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
