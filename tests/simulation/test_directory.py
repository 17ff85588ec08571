"""Names of companies and people: unique where they must be, and never changed by those that come later."""

from connectors.simulation.directory import company_names, domain_of, person_name


def test_thousands_of_companies_have_names_and_domains_of_their_own() -> None:
    ids = [f"acct_{number}" for number in range(6_000)]
    names = company_names(ids)
    assert len(set(names.values())) == len(ids)
    assert len({domain_of(name) for name in names.values()}) == len(ids)
    assert all(name.replace(" ", "").isalpha() for name in names.values())


def test_accounts_that_come_later_leave_the_earlier_names() -> None:
    ids = [f"acct_{number}" for number in range(3_000)]
    few, many = company_names(ids[:700]), company_names(ids)
    assert {external_id: many[external_id] for external_id in few} == few


def test_people_have_two_names_of_many() -> None:
    names = {person_name(f"acct:{number}") for number in range(500)}
    assert len(names) > 350
    assert all(len(name.split()) == 2 for name in names)
