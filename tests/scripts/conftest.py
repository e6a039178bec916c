"""The fixture `table`: a clean server of each kind that knows the scripts, with the state of every key to hand."""

import pytest

from scripts.table import Table
from servers import Server


@pytest.fixture
def table(each_server: Server) -> Table:
    return Table(each_server.client())
