"""Benchmarks: replaykit beside what one would write instead, as ratios within one run.

``python -m benchmarks`` prints the table (``--quick`` at a tenth of the size). Every measurement is a process of its
own, so that its peak memory is its own; repetitions take turns, so that a busy machine slows all alike; the best of
each counts. Final states and whole histories are compared cell for cell at every run, outside the time measured.

``workload.py`` is the recording and its rules, ``peers.py`` what is measured against, ``cases.py`` what is measured,
``measuring.py`` how, ``bench_*.py`` the lines of the table. ``gastown_*.py`` are the same for a whole system:
``gastown_workload.py`` its recordings, ``gastown_sql*.py`` and ``gastown_bare.py`` its peers.
"""
