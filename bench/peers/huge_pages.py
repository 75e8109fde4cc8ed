"""Huge pages for a rival that does not ask for them itself, and for files that fell out of memory."""

import mmap
import os
import pathlib

# What glibc's malloc hands out in large pieces: weights that were repacked, caches.
MALLOC = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def read_in(path: pathlib.Path) -> None:
    """Reads the file into the page cache anew, in huge pages where the file system has them."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            mapped.madvise(mmap.MADV_HUGEPAGE)
            mapped[:: mmap.PAGESIZE]
