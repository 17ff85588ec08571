"""Profiles as SQL: the newest of every account (view `accounts`), and one account's as of an instant.

Each field has sources in an order of precedence; both queries tell, in `sources`, who told what they show. They join
what was said when they are read, so whatever arrives late changes every answer that it concerns.
"""

_FIELDS = """
       p.account_id, p.valid_from, p.crm_id, p.name, p.segment, p.owner, p.region, p.plan, p.created_at, p.deleted"""

_MERGED = "\n       m.surviving_id as merged_into"

# ARR and its currency are one source's, or a currency would be put to another's number.
_JOINED = """
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
       )) as sources"""

# What is told of contracts on events.crm goes before what billing tells. A sum over currencies would mean nothing.
_TERMS = """
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
  from ({said}) said
 group by said.account_id"""

_CHECKED = """
select t.account_id,
       case when cardinality(t.currencies) = 1 then t.arr_sum end as arr,
       case when cardinality(t.currencies) = 1 then t.currencies[1] end as arr_currency,
       case when cardinality(t.currencies) = 1 then t.arr_teller end as arr_source,
       t.renewal_date, t.renewal_source
  from ({terms}) t"""


def _contracts(said: str) -> str:
    return _CHECKED.format(terms=_TERMS.format(said=said))


_NEWEST_CONTRACTS = """
select distinct on (account_id, domain, contract) *
  from account_contracts
 order by account_id, domain, contract, valid_from desc"""

# The first that is known of a contract holds from its beginning on: whoever told it was late.
_CONTRACTS_AT = """
select held.*
  from (select distinct on (k.domain, k.contract) k.*
          from account_contracts k
         where k.account_id = wanted
         order by k.domain, k.contract, k.valid_from <= instant desc,
                  case when k.valid_from <= instant then k.valid_from end desc, k.valid_from) held
 where held.valid_from <= instant or held.starts <= (instant at time zone 'UTC')::date"""

ACCOUNTS = f"""
select{_FIELDS},{_MERGED},{_JOINED}
  from (select distinct on (v.account_id) v.*
          from account_profiles v
         order by v.account_id, v.valid_from desc) p
  left join account_aliases m on m.account_id = p.account_id and not m.withdrawn
  left join ({_contracts(_NEWEST_CONTRACTS)}) c on c.account_id = p.account_id
"""  # noqa: S608 - made of this module's own texts
"""The newest version an account."""

PROFILE_AT = f"""
select {_FIELDS.lstrip()},{_JOINED},
       p.valid_from > instant as assumed
  from (select v.*
          from account_profiles v
         where v.account_id = wanted
         order by v.valid_from <= instant desc,
                  case when v.valid_from <= instant then v.valid_from end desc, v.valid_from
         limit 1) p
  left join ({_contracts(_CONTRACTS_AT)}) c on true
"""  # noqa: S608 - as above  # noqa: S608 - as above  # noqa: S608 - as above
"""One account's as of `instant`; before the first version that one, which is then `assumed`."""

PROFILE_AT_SIGNATURE = (
    "account_profile_at(wanted uuid, instant timestamptz) returns table (account_id uuid, valid_from timestamptz, "
    "crm_id text, name text, segment text, owner text, region text, plan text, created_at timestamptz, "
    "deleted boolean, arr numeric, arr_currency text, time_zone text, renewal_date date, domain text, parent_id uuid, "
    "sources jsonb, assumed boolean) language sql stable parallel safe"
)
