"""`python -m stereodiffusion` is the command line."""

from stereodiffusion.cli.main import main

if __name__ == "__main__":
    main()
