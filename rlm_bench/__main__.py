"""`python -m rlm_bench`: the same as `llm rlm bench`."""

from rlm_bench.commands import bench

bench(prog_name="python -m rlm_bench")
