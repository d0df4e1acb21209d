"""Writers of networks in other formats, each followed by a parity check. Needs the extra ``export``."""
