import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
# tests start many processes: what one of them has compiled is kept for the others
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
HERE = Path(__file__).parent
ROOMS = sorted(path for path in (HERE / "contents").iterdir() if path.is_dir())
sys.path[:0] = map(str, (HERE, *ROOMS))  # where the helpers of tests lie

import pytest
from hypothesis import HealthCheck, settings

from forked import Forks
from quick import make_quick

# a busy machine is no fault of a test
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
make_quick()


@pytest.fixture(scope="session")
def forks():
    """Commands in processes of their own."""
    with Forks() as forks:
        yield forks
