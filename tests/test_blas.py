import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from q_store.blas import single_threaded


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_overlapping_uses_restore_the_threads_when_the_last_one_leaves():
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(limits=2, user_api="blas"):
        usual = blas_threads()  # a library may have one thread for ever
        first, second = single_threaded(), single_threaded()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == usual
