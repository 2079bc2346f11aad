import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from genwright.evaluation import features

features.LEAST, features.MOST = 2_000, 4_000  # pictures that the extractor of a test's few pictures sees: seconds, not a minute
