"""Profiles with more fields and their source, contract terms, and profiles as of an instant."""

from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None

# A migration is history: it does not import the metadata, which moves on.
STATEMENTS = (
    """
alter table account_profiles
    add column source text,
    add column arr numeric(38, 6),
    add column arr_currency text,
    add column time_zone text,
    add column renewal_date date,
    add column domain text,
    add column parent_id uuid
""",
    "comment on column account_profiles.source is 'Connector that told it; null where that was not kept yet.'",
    "comment on column account_profiles.arr is 'Annual recurring revenue in major units of arr_currency.'",
    "comment on column account_profiles.time_zone is 'IANA name.'",
    "comment on column account_profiles.parent_id is 'The account above it.'",
    """
create table account_contracts (
    account_id uuid not null,
    domain text not null,
    contract text not null,
    valid_from timestamptz not null,
    source text not null,
    annual_value numeric(38, 6),
    currency text,
    starts date,
    ends date,
    notice_days integer,
    auto_renew boolean,
    primary key (account_id, domain, contract, valid_from)
)
""",
    "comment on column account_contracts.domain is 'Of the events topic that told it: crm or billing.'",
    "comment on column account_contracts.contract is 'Its id; empty where the source knows one an account.'",
    "comment on column account_contracts.valid_from is 'Source time from which these terms hold.'",
    """
comment on column account_contracts.annual_value is 'Major units of the currency for a year; 0 when it has ended.'
""",
    "comment on column account_contracts.ends is 'First day that is not part of the term.'",
    """
create or replace view accounts as
select
       p.account_id, p.valid_from, p.crm_id, p.name, p.segment, p.owner, p.region, p.plan, p.created_at, p.deleted,
       m.surviving_id as merged_into,
       case when p.arr is not null then p.arr else c.arr end as arr,
       case when p.arr is not null then p.arr_currency else c.arr_currency end as arr_currency,
       p.time_zone,
       coalesce(p.renewal_date, c.renewal_date) as renewal_date,
       p.domain, p.parent_id,
       jsonb_strip_nulls(jsonb_build_object(
           'segment', case when p.segment is not null then p.source end,
           'owner', case when p.owner is not null then p.source end,
           'region', case when p.region is not null then p.source end,
           'plan', case when p.plan is not null then p.source end,
           'arr', case when p.arr is not null then p.source else c.arr_source end,
           'time_zone', case when p.time_zone is not null then p.source end,
           'renewal_date', case when p.renewal_date is not null then p.source else c.renewal_source end,
           'domain', case when p.domain is not null then p.source end,
           'parent_id', case when p.parent_id is not null then p.source end
       )) as sources
  from (select distinct on (v.account_id) v.*
          from account_profiles v
         order by v.account_id, v.valid_from desc) p
  left join account_aliases m on m.account_id = p.account_id and not m.withdrawn
  left join (
select t.account_id,
       case when cardinality(t.currencies) = 1 then t.arr_sum end as arr,
       case when cardinality(t.currencies) = 1 then t.currencies[1] end as arr_currency,
       case when cardinality(t.currencies) = 1 then t.arr_teller end as arr_source,
       t.renewal_date, t.renewal_source
  from (
select said.account_id,
       case when bool_or(said.domain = 'crm' and said.annual_value is not null)
            then sum(said.annual_value) filter (where said.domain = 'crm')
            else sum(said.annual_value) filter (where said.domain = 'billing') end as arr_sum,
       case when bool_or(said.domain = 'crm' and said.annual_value is not null)
            then array_agg(distinct said.currency)
                 filter (where said.domain = 'crm' and said.annual_value is not null)
            else array_agg(distinct said.currency)
                 filter (where said.domain = 'billing' and said.annual_value is not null) end as currencies,
       case when bool_or(said.domain = 'crm' and said.annual_value is not null)
            then min(said.source) filter (where said.domain = 'crm' and said.annual_value is not null)
            else min(said.source) filter (where said.annual_value is not null) end as arr_teller,
       coalesce(min(said.ends) filter (where said.domain = 'crm' and said.annual_value is distinct from 0),
                min(said.ends) filter (where said.annual_value is distinct from 0)) as renewal_date,
       case when bool_or(said.domain = 'crm' and said.ends is not null and said.annual_value is distinct from 0)
            then min(said.source) filter (where said.domain = 'crm' and said.ends is not null
                                                and said.annual_value is distinct from 0)
            else min(said.source) filter (where said.ends is not null and said.annual_value is distinct from 0)
            end as renewal_source
  from (
select distinct on (account_id, domain, contract) *
  from account_contracts
 order by account_id, domain, contract, valid_from desc) said
 group by said.account_id) t) c on c.account_id = p.account_id
""",
    """
create function account_profile_at(wanted uuid, instant timestamptz) returns table (
    account_id uuid,
    valid_from timestamptz,
    crm_id text,
    name text,
    segment text,
    owner text,
    region text,
    plan text,
    created_at timestamptz,
    deleted boolean,
    arr numeric,
    arr_currency text,
    time_zone text,
    renewal_date date,
    domain text,
    parent_id uuid,
    sources jsonb,
    assumed boolean
) language sql stable parallel safe as $body$
select p.account_id, p.valid_from, p.crm_id, p.name, p.segment, p.owner, p.region, p.plan, p.created_at, p.deleted,
       case when p.arr is not null then p.arr else c.arr end as arr,
       case when p.arr is not null then p.arr_currency else c.arr_currency end as arr_currency,
       p.time_zone,
       coalesce(p.renewal_date, c.renewal_date) as renewal_date,
       p.domain, p.parent_id,
       jsonb_strip_nulls(jsonb_build_object(
           'segment', case when p.segment is not null then p.source end,
           'owner', case when p.owner is not null then p.source end,
           'region', case when p.region is not null then p.source end,
           'plan', case when p.plan is not null then p.source end,
           'arr', case when p.arr is not null then p.source else c.arr_source end,
           'time_zone', case when p.time_zone is not null then p.source end,
           'renewal_date', case when p.renewal_date is not null then p.source else c.renewal_source end,
           'domain', case when p.domain is not null then p.source end,
           'parent_id', case when p.parent_id is not null then p.source end
       )) as sources,
       p.valid_from > instant as assumed
  from (select v.*
          from account_profiles v
         where v.account_id = wanted
         order by v.valid_from <= instant desc,
                  case when v.valid_from <= instant then v.valid_from end desc, v.valid_from
         limit 1) p
  left join (
select t.account_id,
       case when cardinality(t.currencies) = 1 then t.arr_sum end as arr,
       case when cardinality(t.currencies) = 1 then t.currencies[1] end as arr_currency,
       case when cardinality(t.currencies) = 1 then t.arr_teller end as arr_source,
       t.renewal_date, t.renewal_source
  from (
select said.account_id,
       case when bool_or(said.domain = 'crm' and said.annual_value is not null)
            then sum(said.annual_value) filter (where said.domain = 'crm')
            else sum(said.annual_value) filter (where said.domain = 'billing') end as arr_sum,
       case when bool_or(said.domain = 'crm' and said.annual_value is not null)
            then array_agg(distinct said.currency)
                 filter (where said.domain = 'crm' and said.annual_value is not null)
            else array_agg(distinct said.currency)
                 filter (where said.domain = 'billing' and said.annual_value is not null) end as currencies,
       case when bool_or(said.domain = 'crm' and said.annual_value is not null)
            then min(said.source) filter (where said.domain = 'crm' and said.annual_value is not null)
            else min(said.source) filter (where said.annual_value is not null) end as arr_teller,
       coalesce(min(said.ends) filter (where said.domain = 'crm' and said.annual_value is distinct from 0),
                min(said.ends) filter (where said.annual_value is distinct from 0)) as renewal_date,
       case when bool_or(said.domain = 'crm' and said.ends is not null and said.annual_value is distinct from 0)
            then min(said.source) filter (where said.domain = 'crm' and said.ends is not null
                                                and said.annual_value is distinct from 0)
            else min(said.source) filter (where said.ends is not null and said.annual_value is distinct from 0)
            end as renewal_source
  from (
select held.*
  from (select distinct on (k.domain, k.contract) k.*
          from account_contracts k
         where k.account_id = wanted
         order by k.domain, k.contract, k.valid_from <= instant desc,
                  case when k.valid_from <= instant then k.valid_from end desc, k.valid_from) held
 where held.valid_from <= instant or held.starts <= (instant at time zone 'UTC')::date) said
 group by said.account_id) t) c on true
$body$
""",
)


def upgrade() -> None:
    """Makes the columns, the table, the view's new columns and the function."""
    for statement in STATEMENTS:
        op.execute(statement)
