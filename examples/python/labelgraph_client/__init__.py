"""A client of Labelgraph: `Client`, and `AsyncClient` with the same methods as coroutines and asynchronous iterators.

Inputs, enums and objects, such as `SampleFilter`, `SampleState` and `Sample`, are in this package, too, under the names
of the GraphQL schema.
"""

from labelgraph_client import generated
from labelgraph_client._async.client import AsyncClient
from labelgraph_client._sync.client import Client
from labelgraph_client.base import Unknown, Upload
from labelgraph_client.errors import LabelgraphError
from labelgraph_client.files import UploadOutcome
from labelgraph_client.generated import *
from labelgraph_client.models import AnyJob, AnyShape, Event
from labelgraph_client.progress import Progress, show_bar

__all__ = [
    "AnyJob",
    "AnyShape",
    "AsyncClient",
    "Client",
    "Event",
    "LabelgraphError",
    "Progress",
    "Unknown",
    "Upload",
    "UploadOutcome",
    "show_bar",
]
__all__ += generated.__all__
