"""What proofs are built from again, and what is known of a repository over its pipelines."""

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"


def upgrade() -> None:
    op.create_table(
        "seen",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("pipeline", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.UniqueConstraint("pipeline", "kind", "key"),
    )
    op.create_table(
        "outcomes",
        sa.Column("repo", sa.Text(), primary_key=True),
        sa.Column("check", sa.Text(), primary_key=True),
        sa.Column("commit", sa.Text(), primary_key=True),
        sa.Column("tests", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "flaky_tests",
        sa.Column("repo", sa.Text(), primary_key=True),
        sa.Column("check", sa.Text(), primary_key=True),
        sa.Column("test", sa.Text(), primary_key=True),
        sa.Column("at_s", sa.Double(), nullable=False),
    )
    op.create_table(
        "suspensions",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("repo", sa.Text(), nullable=False),
        sa.Column("since_s", sa.Double(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("lifted_s", sa.Double()),
        sa.Column("lifted_by", sa.Text()),
        sa.Column("lifted_why", sa.Text()),
    )
