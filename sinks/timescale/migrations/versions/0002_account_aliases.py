"""Merged accounts: the alias of each, and the view of accounts that tells it."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A migration is history: it does not import the metadata, which moves on.
TABLE = """
create table account_aliases (
    account_id uuid primary key,
    surviving_id uuid not null,
    valid_from timestamptz not null,
    source text not null,
    withdrawn boolean not null default false
);
comment on column account_aliases.account_id is 'The merged account.';
comment on column account_aliases.valid_from is 'Source time from which events are the surviving one''s.';
create index account_aliases_surviving_id_index on account_aliases (surviving_id);

create or replace view accounts as
    select distinct on (p.account_id)
           p.account_id, p.valid_from, p.crm_id, p.name, p.segment, p.owner, p.region, p.plan, p.created_at,
           p.deleted, m.surviving_id as merged_into
      from account_profiles p
      left join account_aliases m on m.account_id = p.account_id and not m.withdrawn
     order by p.account_id, p.valid_from desc;
"""


def upgrade() -> None:
    """Makes the table and the view's new column."""
    for statement in TABLE.split(";\n"):
        if statement.strip():
            op.execute(statement)
