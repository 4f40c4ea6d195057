"""Where the server is, and the token: given, or in the environment, or in the file that `lg login` writes."""

import json
import os
from pathlib import Path


def file() -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "labelgraph" / "client.json"


def load(url: str | None = None, token: str | None = None) -> tuple[str, str | None]:
    """A token of the file goes only to the server that it is for."""
    stored = json.loads(file().read_text()) if file().exists() else {}
    url = url or os.environ.get("LABELGRAPH_URL") or stored.get("url")
    if not url:
        raise ValueError("Which server? Give its URL, set LABELGRAPH_URL, or sign in with `lg login URL`.")
    url = server_of(url)
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"The URL of a server begins with http:// or https://, unlike {url}.")
    token = token or os.environ.get("LABELGRAPH_TOKEN")
    return url, token or (stored.get("token") if stored.get("url") == url else None)


def save(url: str, token: str) -> Path:
    """Only the user can read the file."""
    path = file()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:  # noqa: PTH123
        json.dump({"url": server_of(url), "token": token}, opened)
    new.replace(path)
    return path


def server_of(url: str) -> str:
    """The address of the server, also if that of GraphQL is given."""
    return url.rstrip("/").removesuffix("/graphql")
