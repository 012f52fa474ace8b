"""Analyse many recordings exactly once each, with several processes or machines; a stopped run can be continued.

`cluster` computes heavy steps of the app's jobs on the workers of a Dask scheduler.

`run` finds the `recordings`, identified by the SHA-256 of their bytes, cuts them into chunks, has an engine
(`local_engine`, `dask_engine`) run `chunk` on them, and writes the `results`, one Parquet file per chunk.

Workers receive paths, a model folder and settings, and return rows; only the process that started the batch writes.
The workers of a cluster therefore need the recordings, the model and this project at the same paths, and one thread
each:

    dask scheduler
    dask worker ADDRESS --nworkers 4 --nthreads 1          on each machine, in the project's folder

Anyone who can connect to a Dask scheduler or worker can run any code there. Keep them in a private network, or use TLS
for all of them (`distributed.comm.tls` in Dask's configuration) and an address `tls://...`. The processes that the
engine `dask` starts itself listen on 127.0.0.1 only, which other users of the machine can reach; those of `local` do
not listen.

On machines of one kind, the same recordings, model and settings give the same table with any engine and any number of
workers. Processors that compute in bfloat16 give logits that differ by about 0.01 from those of others.
"""
