"""`python -m q_store` is `q-store`."""

import sys

from q_store.apps.cli import main

if __name__ == "__main__":
    sys.exit(main())
