"""Two ranks in the threads of one process, for what the loop promises about ranks."""

import threading

from genwright.training.engine import Engine


class Rank(Engine):
    """One of two ranks in threads. brought: what each of them brings to a sum."""

    def __init__(self, rank, brought, barrier):
        self.__dict__.update(vars(Engine.alone()))
        self.rank = rank
        self.size = 2
        self.brought = brought
        self.barrier = barrier

    def sum_(self, tensor):
        self.brought[self.rank] = tensor.clone()
        self.barrier.wait()
        tensor.copy_(self.brought[0] + self.brought[1])
        self.barrier.wait()
        return tensor

    def exchange(self, parts):
        self.brought[self.rank] = parts[self.rank].clone()
        self.barrier.wait()
        for part, brought in zip(parts, self.brought, strict=True):
            part.copy_(brought)
        self.barrier.wait()
        return lambda: None


def on_two_ranks(make, call):
    """What `call(engine, make())` gives on each rank. An error of either is raised here. Things are
    made one after the other, since threads share torch's own generator."""
    made = [make(), make()]
    brought = [None, None]
    barrier = threading.Barrier(2, timeout=60)
    found = [None, None]
    errors = []

    def one(rank):
        try:
            found[rank] = call(Rank(rank, brought, barrier), made[rank])
        except Exception as error:
            errors.append(error)
            barrier.abort()  # the other one waits no longer

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    return found
