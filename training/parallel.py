"""Two niced processes of one thread each that share gradients: three times the speed of one process of two threads."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable
from multiprocessing import parent_process
from multiprocessing.connection import wait

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

# glibc gives large blocks back to the system after every layer unless told otherwise: half the time went there.
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
    "OMP_NUM_THREADS": "1",
}


def launch(work: Callable[..., None], *args: object, processes: int = 2) -> None:
    """Run ``work(rank, *args)`` in ``processes`` processes at low priority; returns when all have ended."""
    os.environ.update(_ALLOCATOR)
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_start, (work, f"file://{folder}/rendezvous", processes, args), nprocs=processes)


def _start(rank: int, work: Callable[..., None], meeting: str, processes: int, args: tuple[object, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(19 - os.nice(0))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
    try:
        work(rank, *args)
    finally:
        dist.destroy_process_group()


def _end_with_parent() -> None:
    """Left alone, a process would go on for hours and write over what the next training saves."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def share_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() if g.is_contiguous() else g.permute(0, 2, 3, 1).flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        if gradient.is_contiguous():
            gradient.copy_(part.view_as(gradient))
        else:
            n, c, h, w = gradient.shape
            gradient.copy_(part.view(n, h, w, c).permute(0, 3, 1, 2))


def mean_over_processes(value: float | Tensor) -> float:
    """The mean of a number over the processes."""
    tensor = torch.as_tensor(float(value), dtype=torch.float64)
    dist.all_reduce(tensor)
    return float(tensor) / dist.get_world_size()
