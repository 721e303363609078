"""The program, as `stereodiffusion` and as `python -m stereodiffusion`."""

from typing import NoReturn

from stereodiffusion.cli.signals import end_on_signals


def main() -> NoReturn:
    """Run the command line; signals are heard before it is imported."""
    end_on_signals()
    from stereodiffusion.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
