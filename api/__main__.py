"""The command line: `python -m api`, or `./labelgraph`, which brings its own environment."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from api import commands
from api.command_errors import sentence
from api.settings import Settings
from db.identity.tokens import Scope


def main(arguments: Sequence[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    try:
        given.command(settings_of(given), given)
        sys.stdout.flush()
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
    except BrokenPipeError:  # who reads the output has heard enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except Exception as error:
        said = sentence(error)
        if said is None:
            raise
        sys.exit(f"labelgraph: {said}")


def settings_of(given: argparse.Namespace) -> Settings:
    """The environment's settings, overlaid by the arguments that were given."""
    names = ("data_dir", "allowed_roots", "host", "port", "worker")
    arguments = {name: value for name in names if (value := getattr(given, name, None)) is not None}
    return Settings.from_environment().with_changes(**arguments)


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="labelgraph",
        description="GraphQL API server for labelled image datasets.",
        epilog="./labelgraph test checks everything, ./labelgraph bench measures. Settings by environment: README.md.",
    )
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", dest="data_dir", type=Path, metavar="DIR", help="data directory (default: .data)")
    actions = whole.add_subparsers(required=True, metavar="command")

    def action(name: str, command: commands.Command, summary: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, parents=[data], help=summary, description=summary)
        made.set_defaults(command=command)
        return made

    _address(action("demo", commands.demo, "Label real images: everything on embedded defaults, signed in."))
    _serve(action("serve", commands.serve, "Serve the API, with a worker inside."))
    _roots(action("worker", commands.worker, "Run jobs for the servers of the same database."))
    action("migrate", commands.migrate, "Bring the database to this version's schema.")
    _file(action("backup", commands.backup, "Write everything but the images into a file; servers may go on."))
    _file(action("restore", commands.restore, "Fill a database that holds no dataset with a backup."))
    action("sdl", commands.sdl, "Print the GraphQL schema.")
    _token(actions.add_parser("token", help="Create, list or revoke access tokens."), data)
    return whole


def _file(made: argparse.ArgumentParser) -> None:
    made.add_argument("file", metavar="FILE", help="the backup; - is stdout, or stdin")


def _address(made: argparse.ArgumentParser) -> None:
    made.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    made.add_argument("--port", type=commands.port, help="port to listen on, 0 for a free one (default: 8000)")


def _serve(made: argparse.ArgumentParser) -> None:
    _address(made)
    _roots(made)
    made.add_argument("--no-worker", dest="worker", action="store_false", default=None, help="run no jobs here")


def _roots(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--allow-root",
        dest="allowed_roots",
        type=Path,
        action="append",
        metavar="DIR",
        help="a directory below which datasets may lie; repeat for more",
    )


def _token(made: argparse.ArgumentParser, data: argparse.ArgumentParser) -> None:
    actions = made.add_subparsers(required=True, metavar="action")
    create = actions.add_parser("create", parents=[data], help="Print a new token, which cannot be shown again.")
    create.add_argument("--name", required=True, help="what `labeledBy` shows of those who use it")
    create.add_argument("--scope", required=True, choices=[scope.word for scope in Scope])
    create.add_argument(
        "--dataset", action="append", metavar="NAME", help="confine it to this dataset; repeat for more"
    )
    create.add_argument("--expires", type=commands.moment, metavar="WHEN", help="12h, 30d, 8w or 2027-01-31T12:00:00Z")
    create.set_defaults(command=commands.create_token)
    lists = actions.add_parser("list", parents=[data], help="Show every token, newest first.")
    lists.set_defaults(command=commands.list_tokens)
    revoke = actions.add_parser("revoke", parents=[data], help="End a token; running servers notice within seconds.")
    revoke.add_argument("token", metavar="NAME", help="its name or its first characters, as `token list` shows them")
    revoke.set_defaults(command=commands.revoke_token)


if __name__ == "__main__":
    main()
