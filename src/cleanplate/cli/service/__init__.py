"""HTTP service: pictures at once, clips as jobs that survive a restart. ``cleanplate serve`` starts it.

``routes`` has the addresses; ``query``, ``uploads`` and ``file_kinds`` read a request; ``engine`` accepts or
refuses it (free space, number of jobs) and runs it; ``fair_queue`` orders the work, ``pool`` and ``child`` do
it, ``job_store`` keeps plates and jobs on the disk.

Needs the extra ``serve``; nothing here is imported before the command has checked that it is installed.
"""
