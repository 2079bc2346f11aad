import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from hypothesis import HealthCheck, settings

from genwright.evaluation import features

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of a test
settings.load_profile("busy")

features.LEAST, features.MOST = 2_000, 4_000  # pictures that the extractor of a test's few pictures sees: seconds, not a minute
