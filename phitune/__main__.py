"""`python -m phitune`: the command line."""

from phitune.cli import main

if __name__ == "__main__":
    main()
