"""Under its former name, for scripts that run now; never committed."""

from benchmarks.diagnosis_runs.parts import *  # noqa: F403
