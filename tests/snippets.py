"""The snippets of the manual, its fenced blocks, and what runs each: `tests/test_snippets.py` compares the two."""

import json
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    {ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/README.md")}
)
BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
BODY = re.compile(r"'(\{\"query\": .*\})'")  # of a request that curl sends


@dataclass(frozen=True, slots=True)
class Snippet:
    page: str
    language: str
    code: str

    @property
    def documents(self) -> list[str]:
        """What it sends in GraphQL."""
        if self.language == "graphql":
            return [self.code]
        return [json.loads(body)["query"] for body in BODY.findall(self.code)]


SNIPPETS = [
    Snippet(str(page.relative_to(ROOT)), block["language"], textwrap.dedent(block["code"]))
    for page in PAGES
    for block in BLOCK.finditer(page.read_text())
]


def snippets(page: str, language: str) -> list[str]:
    return [each.code for each in SNIPPETS if (each.page, each.language) == (page, language)]


def snippet(page: str, beginning: str) -> Snippet:
    """The only one of the page that begins so."""
    [found] = [each for each in SNIPPETS if each.page == page and each.code.startswith(beginning)]
    return found


GRAPHQL: Final = "tests/api/test_snippets.py"  # runs everything in GraphQL
CLIENTS: Final = "tests/clients/python/snippets.py"
ONNX: Final = "tests/vision/test_onnx_description.py"

# The test that runs a snippet, by the beginning of its code.
RUN_BY: Final = {
    "README.md": {"curl": CLIENTS},
    "docs/auto-labelling.md": {
        '{\n  "dataset"': "tests/db/test_model_protocols.py",
        '{\n  "version"': "tests/db/test_model_protocols.py",
        '"""python day_or_night.py': "tests/api/test_auto_labelling.py",
    },
    "docs/clients.md": {
        'import { createClient } from "graphql-sse"': "tests/clients/graphql-sse.test.mjs",
        "// Apollo Client.": "tests/clients/snippets.test.mjs",
        "curl": CLIENTS,
        '"""python upload.py': "tests/api/test_direct_uploads.py",
    },
    "docs/deployment.md": {
        "LABELGRAPH_S3_REGION: eu": "tests/test_compose.py",
        "LABELGRAPH_S3_ENDPOINT:": "tests/test_compose.py",
        "ADDRESS=": "tests/test_compose.py",
        "curl": "tests/test_compose.py",
    },
    "docs/exports.md": {'"""python image_folder_out.py': CLIENTS, '"""python coco_to_yolo.py': CLIENTS},
    "docs/imports.md": {
        '"""python labels_in.py': CLIENTS,
        '"""python archive_in.py': "tests/api/test_annotation_imports.py",
    },
    "docs/onnx-models.md": {
        '{\n  "kind": "CLASSIFICATION"': ONNX,
        '{\n  "kind": "DETECTION",\n  "labels": ["owl", "mouse"],\n  "input": { "width": 640': ONNX,
        '{\n  "kind": "DETECTION",\n  "labels": ["owl", "mouse"],\n  "input": { "width": 800': ONNX,
    },
    "docs/recipes.md": {
        "export LABELGRAPH_URL": CLIENTS,
        '"""labelgraph_api.py': "tests/api/test_recipes.py",
        '"""table.py': "tests/api/test_recipes.py",
        '"""label.py': "tests/api/test_recipes.py",
        '"""nightly.py': "tests/api/test_recipes.py",
        '"""follow.py': "tests/api/test_recipes.py",
        '"""training.py': "tests/api/test_recipes.py",
        '"""frames.py': "examples/python/tests/test_recipes.py",
        "stages:": "examples/python/tests/test_recipes.py",
        '"""labelgraph_nightly.py': "examples/python/tests/test_recipes.py",
        "import { openApollo }": "tests/clients/typescript-example.test.mjs",
        "// next.config.mjs": "tests/clients/snippets.test.mjs",
    },
    "docs/security.md": {"./labelgraph token": CLIENTS},
    "examples/python/README.md": {
        "lg login": CLIENTS,
        "lg sync": CLIENTS,
        "from labelgraph_client": CLIENTS,
        "import asyncio": CLIENTS,
    },
    "examples/typescript/README.md": {
        "import { connect }": "tests/clients/typescript-example.test.mjs",
        '{\n  "src"': "tests/clients/relay.test.mjs",
    },
}

# Why nothing runs a snippet.
NOT_RUN: Final = {
    "README.md": {
        "./labelgraph demo": "CI begins with the second line; `tests/api/test_serve.py` runs the demo.",
        "# on a machine of the same kind": "It loads all packages; `tests/test_requirements.py` does it with others.",
        "./labelgraph serve --allow-root": "It takes the port 8000; the suites of clients start the same on another.",
        "api/     processes": "It is a drawing.",
    },
    "CONTRIBUTING.md": {
        "./labelgraph test": "CI runs the same commands.",
        "for name in requirements-setup": "It asks an index for the newest packages.",
        "(echo '# The schema": "It is for a release, and changes the checkout.",
    },
    "docs/deployment.md": {
        "for name in POSTGRES_PASSWORD": "It needs Docker; `tests/test_compose.py` runs what is in the containers.",
        "export TOKEN=": "It is the reader's own token.",
        ". ./.env": "It needs the AWS client, and the containers.",
        "pg_basebackup": "It needs two machines; `tests/standby.py` makes standbys.",
        "scrape_configs:": "It is for Prometheus.",
        "LABELGRAPH_TRACE_SHARE": "It needs a collector; `tests/api/observation/` has one.",
        "docker compose exec -T": "It needs Docker; `tests/api/test_backups.py` runs the commands.",
    },
    "docs/recipes.md": {"version: V001": "DVC puts it into the command, which is run with a version."},
    "examples/python/README.md": {
        "pip install": "It asks an index for packages; the suite `labelgraph-client` installs the wheel.",
    },
    "examples/typescript/README.md": {
        "npm ci": "It asks an index for packages; `tests/clients/typescript.mjs` runs the same programs.",
    },
    "examples/web/README.md": {
        "../../labelgraph demo": "It serves until it is stopped; the suite `built` of `tests/browser` builds the page.",
    },
}
