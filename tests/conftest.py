"""One thread a process, as `make test` has it: two workers with a pool of threads each would fight over the
cores. And no test is timed: how long one of hypothesis' examples takes depends on what else the machine does.
"""

import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
