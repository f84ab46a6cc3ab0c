"""The whole program for a long time under all kinds of faults: python -m dbplanmon_pipeline_tests.soak --minutes 45."""
