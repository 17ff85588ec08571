"""How each signal of a score stands, its segment, and what overrides add."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Constant defaults: neither PostgreSQL nor TimescaleDB writes a row anew, compressed chunks included.
SCORES = """
alter table {table}
  add column adjustment bigint not null default 0,
  add column segment text not null default 'everyone',
  add column statuses smallint[] not null default '{{}}'
"""

COMMENTS = {
    "adjustment": "10^-6 points that overrides add to the contributions.",
    "segment": "Segment of the model whose weights were used.",
    "statuses": "By the model''s signals: 0 not applicable, 1 missing, 2 stale, 3 fresh; empty where not kept yet.",
}


def upgrade() -> None:
    """Adds the columns."""
    for table in ("health_scores", "health_live"):
        op.execute(SCORES.format(table=table))
        for column, comment in COMMENTS.items():
            op.execute(f"comment on column {table}.{column} is '{comment}'")
