"""`python -m q_store` is `q-store`."""

import sys


def main() -> int:
    """The command line; Ctrl-C ends it without a traceback while it is still being loaded, too."""
    try:
        from q_store.apps.cli import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("q-store: interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
