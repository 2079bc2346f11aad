"""What Arrow does with memory that it has used. Its own pool keeps it: reading a corpus of 100 MB
left 40 MB more with the process than one of 10 MB, though it holds a batch of documents alone."""

import os

POOL = "ARROW_DEFAULT_MEMORY_POOL"  # read when pyarrow is imported


def give_memory_back() -> None:
    """Lets Arrow take memory from the C library, which gives it back, in this process and in those
    it starts. To be called before pyarrow is imported; a pool that a person has chosen stays."""
    os.environ.setdefault(POOL, "system")
