"""How the benchmarks of GPUs measure, and what stands in for a GPU in a dry run."""

from __future__ import annotations

import statistics
import time

import torch


class Machine:
    """Where a benchmark runs: a GPU, or a CPU in a dry run, which times nothing worth knowing.

    Parameters
    ----------
    dry : bool
    rounds : int
        In which every function is called once, in turn.
    """

    def __init__(self, dry, rounds):
        self.dry = dry
        self.device = "cpu" if dry else "cuda"
        self.rounds = 1 if dry else rounds
        # more than the second-level cache, cleared between two calls
        self.flush = torch.empty(1 if dry else 2**28, dtype=torch.int8, device=self.device)

    def size(self, wanted, least=3):
        """Return a number of rows or nodes, a small one in a dry run."""
        return min(wanted, least) if self.dry else wanted

    def compiled(self, function, **options):
        """Compile a function, or only trace it in a dry run."""
        return (
            torch.compile(function, backend="eager")
            if self.dry
            else torch.compile(function, **options)
        )

    def timed(self, functions):
        """Return the median milliseconds of every function, measured in turn."""
        times = {name: [] for name in functions}
        for function in functions.values():
            for _ in range(1 if self.dry else 5):
                function()
        for _ in range(self.rounds):
            for name, function in functions.items():
                self.flush.zero_()
                times[name].append(self._once(function))
        return {name: statistics.median(own) for name, own in times.items()}

    def peak_mb(self, function):
        """Return by how many megabytes the memory in use grows during a call at most."""
        if self.dry:
            function()
            return 0.0
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)

    def _once(self, function):
        if self.dry:
            start = time.perf_counter()
            function()
            return 1e3 * (time.perf_counter() - start)
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        stop.record()
        torch.cuda.synchronize()
        return start.elapsed_time(stop)
