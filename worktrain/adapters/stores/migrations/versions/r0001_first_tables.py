"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "blobs",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("parent", sa.Text(), sa.ForeignKey("turns.id")),
        sa.Column("key", sa.Text(), nullable=False, unique=True),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
    )
    op.create_table(
        "tool_calls",
        sa.Column("head", sa.Text(), primary_key=True),
        sa.Column("call", sa.Text(), primary_key=True),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("started_s", sa.Double()),
        sa.Column("ended_s", sa.Double()),
        sa.Column("output", sa.Text()),
    )
    op.create_table(
        "pipelines",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("started_s", sa.Double(), nullable=False),
        sa.Column("ended_s", sa.Double()),
        sa.Column("result", sa.Text()),
    )
    op.create_index("ix_pipelines_started_s", "pipelines", ["started_s"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("pipeline", sa.Text(), nullable=False),
        sa.Column("script", sa.Text()),
        sa.Column("context", sa.Text()),
        sa.Column("opened_s", sa.Double(), nullable=False),
        sa.Column("closed_s", sa.Double()),
        sa.Column("closed", sa.Text()),
    )
    op.create_index("ix_sessions_pipeline", "sessions", ["pipeline"])
    op.create_table(
        "log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column(
            "session",
            sa.Text().with_variant(sa.String(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("usage", sa.Text()),
        sa.Column("cost_microdollars", sa.BigInteger(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_log_session_id", "log", ["session", "id"])
    op.create_table(
        "effects",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("intent", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text()),
        sa.Column("at_s", sa.Double(), nullable=False),
    )
    op.create_table(
        "proofs",
        sa.Column("commit", sa.Text(), primary_key=True),
        sa.Column("pipeline", sa.Text(), primary_key=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
    )
