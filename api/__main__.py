"""The command line: `python -m api`, or `./labelgraph`, which brings its own environment."""

import gc

if __name__ == "__main__":
    gc.disable()  # what is imported stays: to search it for garbage again and again takes a third of a start

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from api import commands
from api.command_errors import describe
from api.settings import Settings
from db import vision
from db.identity.tokens import Scope


def main(arguments: Sequence[str] | None = None) -> None:
    parsed = parser().parse_args(arguments)
    try:
        if getattr(parsed, "vision", False):
            vision.require()
        parsed.command(settings_of(parsed), parsed)
        sys.stdout.flush()
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
    except BrokenPipeError:  # the reader of the output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except Exception as error:
        message = describe(error)
        if message is None:
            raise
        sys.exit(f"labelgraph: {message}")


def settings_of(parsed: argparse.Namespace) -> Settings:
    """The environment's settings, overlaid by the arguments of the command line."""
    names = ("data_dir", "allowed_roots", "host", "port", "processes", "worker", "trusted_documents", "trusted_only")
    arguments = {name: value for name in names if (value := getattr(parsed, name, None)) is not None}
    return Settings.from_environment(**arguments)


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="labelgraph",
        description="GraphQL API server for labelled image datasets.",
        epilog="./labelgraph test checks everything, ./labelgraph bench measures. Settings: docs/settings.md.",
    )
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", dest="data_dir", type=Path, metavar="DIR", help="data directory (default: .data)")
    address = argparse.ArgumentParser(add_help=False)
    address.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    address.add_argument("--port", type=commands.port, help="port to listen on, 0 for a free one (default: 8000)")
    roots = argparse.ArgumentParser(add_help=False)
    roots.add_argument(
        "--allow-root",
        dest="allowed_roots",
        type=Path,
        action="append",
        metavar="DIR",
        help="a directory below which datasets may lie; repeat for more",
    )
    models = argparse.ArgumentParser(add_help=False)
    models.add_argument(
        "--vision", action="store_true", help="install what models that look at images need, at the first time"
    )
    file = argparse.ArgumentParser(add_help=False)
    file.add_argument("file", metavar="FILE", help="the backup; - is stdout, or stdin")
    actions = whole.add_subparsers(required=True, metavar="command")

    def action(
        name: str, command: commands.Command, summary: str, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        added = actions.add_parser(name, parents=[data, *parents], help=summary, description=summary)
        added.set_defaults(command=command)
        return added

    action("demo", commands.demo, "Label real images: everything on embedded defaults, signed in.", address, models)
    serve = action("serve", commands.serve, "Serve the API, with a worker inside.", address, roots, models)
    serve.add_argument("--trusted-documents", type=Path, metavar="DIR", help="documents that clients name by an id")
    serve.add_argument("--trusted-only", action="store_true", default=None, help="execute only the trusted documents")
    serve.add_argument("--processes", type=int, metavar="N", help="processes that accept connections (default: 1)")
    serve.add_argument("--no-worker", dest="worker", action="store_false", default=None, help="run no jobs here")
    action("worker", commands.worker, "Run jobs for the servers of the same database.", roots, models)
    action("migrate", commands.migrate, "Bring the database to this version's schema.")
    action("backup", commands.backup, "Write everything but the images into a file; servers may go on.", file)
    action("restore", commands.restore, "Fill a database that holds no dataset with a backup.", file)
    check = action("check", commands.check, "Count everything again, and compare samples with files.", roots)
    check.add_argument("--repair", action="store_true", help="correct wrong counts and states, and nothing else")
    action("sdl", commands.sdl, "Print the GraphQL schema.")
    _add_token_commands(actions.add_parser("token", help="Create, list or revoke access tokens."), data)
    return whole


def _add_token_commands(token: argparse.ArgumentParser, data: argparse.ArgumentParser) -> None:
    actions = token.add_subparsers(required=True, metavar="action")
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
    gc.freeze()
    gc.enable()
    main()
