"""Writers of networks in other formats, each with a parity check. Needs the extra ``export``."""
