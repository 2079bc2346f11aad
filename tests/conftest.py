import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).parent
ROOMS = sorted(path for path in (HERE / "contents").iterdir() if path.is_dir())
sys.path[:0] = map(str, (HERE, *ROOMS))  # where the helpers of tests lie

from hypothesis import HealthCheck, settings

from genwright.evaluation import features

# a busy machine is no fault of a test
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# pictures that the extractor of a test's few pictures sees: seconds, not a minute
features.LEAST, features.MOST = 2_000, 4_000
