"""The operating system: cores, the allocator of the C library, temporary files, errors of the system."""
