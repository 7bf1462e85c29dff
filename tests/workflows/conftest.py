"""A real Temporal server with real workflows and activities, and everything outside in memory."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from temporalio.client import Client as Temporal
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from worktrain.adapters.forges.in_memory import InMemoryForge
from worktrain.adapters.models.scenario import Scenario
from worktrain.adapters.models.scripted import ScriptedModel
from worktrain.adapters.shells.scripted import ScriptedShell
from worktrain.adapters.stores.in_memory import InMemoryStore
from worktrain.adapters.workspaces.in_memory import InMemoryWorkspaces
from worktrain.client import Client
from worktrain.contracts.workspace import SandboxRules
from worktrain.embedded import temporal_binary
from worktrain.settings import Settings
from worktrain.wiring import Outside, worker
