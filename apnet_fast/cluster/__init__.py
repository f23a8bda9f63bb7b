"""Beyond one machine: a run on a Dask cluster, or inside a Slurm job.

What Dask imports on its workers (`node` and `messages`) uses the standard library alone: importing torch or numba there
would hold up the worker's event loop until the scheduler takes it for dead.
"""
