"""The command `chengxin`, which `python -m gateway` is too."""


def main() -> None:
    """Run the command; who interrupts it, even while its modules are read, sees one line, and the status is 130."""
    try:
        from gateway.cli import main as command

        command()
    except KeyboardInterrupt:
        import signal
        import sys

        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever is impatient is not shown what ends here
        print("chengxin: given up (已中止)", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
