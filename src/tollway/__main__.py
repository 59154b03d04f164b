"""`python -m tollway` is the `tollway` command."""

import sys

from tollway.cli import main

if __name__ == "__main__":
    sys.exit(main())
