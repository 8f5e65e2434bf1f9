"""`python -m livegrad`: the same as the `livegrad` command."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        # Here python put the current directory, which may hold files named like modules of ours.
        sys.path[0] = __file__.rpartition("livegrad")[0] or "/"

    from livegrad.cli.main import main

    main()
