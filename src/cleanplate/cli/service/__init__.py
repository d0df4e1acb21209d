"""HTTP service: pictures at once, clips as jobs that survive a restart. ``cleanplate serve`` starts it.

Needs the extra ``serve``; nothing here is imported before the command has checked that it is installed.
"""
