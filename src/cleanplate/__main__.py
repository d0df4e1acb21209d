"""``python -m cleanplate``."""

from __future__ import annotations

from cleanplate.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
