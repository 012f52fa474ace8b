"""Many recordings, each analysed exactly once, by several processes or machines; a run that was stopped goes on.

`run` is the way of a batch: `recordings` are found and known by the SHA-256 of their bytes, cut into chunks, analysed
by `chunk` in the workers of an engine (`local_engine`, `dask_engine`), and kept by `results`, a Parquet file a chunk.

Workers get paths, a model's folder and settings, and give rows back; only the process that began the batch writes.
Those of a cluster therefore need the recordings, the model and this project at the same paths, and one thread each:

    dask scheduler
    dask worker ADDRESS --nworkers 4 --nthreads 1          on each machine, in the project's folder

Whoever reaches a Dask scheduler or worker can run any code there. Keep them in a private network, or give all of them
TLS (`distributed.comm.tls` in Dask's configuration) and the address as `tls://...`. The processes that the engine
`dask` starts by itself listen on 127.0.0.1 only, which other users of that machine reach; those of `local` on nothing.

The same recordings, model and settings give the same table, whatever the engine and the number of workers, on machines
of one kind; processors that compute in bfloat16 give logits that differ by about 0.01 from those of others.
"""
