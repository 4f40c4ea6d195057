"""The operations of operations.graphql by name, each with its fragments, and the server that run.mjs started."""

import os
from pathlib import Path

from graphql import parse, print_ast, separate_operations

ROOT = Path(__file__).parents[3]
FILE = ROOT / "tests" / "clients" / "operations.graphql"
SCHEMA = ROOT / "schema" / "schema.graphql"
OPERATIONS = {name: print_ast(document) for name, document in separate_operations(parse(FILE.read_text())).items()}

URL = os.environ["LABELGRAPH_CLIENTS_URL"] + "/graphql"
SOCKET_URL = URL.replace("http", "ws", 1)
TOKEN = os.environ["LABELGRAPH_CLIENTS_TOKEN"]
HEADERS = {"Authorization": f"Bearer {TOKEN}", "GraphQL-Require-Preflight": "true"}
DATASET = os.environ["LABELGRAPH_CLIENTS_DATASET"]
IMAGE = ROOT / "examples" / "cells" / "BloodImage_00001.jpg"
TIMEOUT = 60
