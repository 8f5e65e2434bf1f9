"""`python -m livegrad`: the same as the `livegrad` command."""

from livegrad.cli.main import main

if __name__ == "__main__":
    main()
