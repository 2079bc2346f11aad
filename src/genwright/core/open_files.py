"""How many files this process may have open. Each shard of tokens is mapped into memory, and keeps
its file open as long: at the usual 1,024, some gigabytes of text would not open."""

import resource

WANTED = 1 << 16  # at two files a shard of 8 MB, some 250 GB


def allow_many_files() -> None:
    """Raises the limit of this process, and of those it starts, as far as the machine permits."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if most == resource.RLIM_INFINITY else min(WANTED, most)
    if limit != resource.RLIM_INFINITY and limit < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
