"""The command `chengxin`."""


def main() -> None:
    """Run the command."""
