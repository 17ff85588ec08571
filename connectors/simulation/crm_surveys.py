"""A world's answers to surveys that the CRM keeps, as records of a custom object; those to support's are Zendesk's."""

from typing import Any

import numpy as np

from connectors.simulation.identifiers import salesforce_id
from connectors.simulation.soql import Fields, Row, datetime_text
from connectors.simulation.world import SURVEY_KINDS, World

SURVEY_OBJECT = "Survey_Response__c"

SURVEY_FIELDS: Fields = {
    "Id": "id",
    "IsDeleted": "boolean",
    "Account__c": "reference",
    "Type__c": "picklist",
    "Score__c": "double",
    "Answered_At__c": "datetime",
    "Respondent__c": "string",
}

_TYPES = {"nps": "NPS", "pulse": "Pulse"}


def survey_rows(world: World, now: int) -> list[Row]:
    """Every answer that was given by `now`."""
    given = world.surveys
    until = int(np.searchsorted(given.answered_at, now, side="right"))
    kept = np.isin(given.kind[:until], [SURVEY_KINDS.index(kind) for kind in _TYPES])
    return [_row(world, place) for place in np.flatnonzero(kept).tolist()]


def _row(world: World, place: int) -> dict[str, Any]:
    given = world.surveys
    account, respondent = world.accounts[int(given.account[place])], int(given.respondent[place])
    at = datetime_text(int(given.answered_at[place]))
    return {
        "Id": salesforce_id("a0S", f"survey:{world.name}:{int(given.row[place])}"),
        "IsDeleted": False,
        "Account__c": account.crm_id,
        "Type__c": _TYPES[SURVEY_KINDS[int(given.kind[place])]],
        "Score__c": float(given.score[place]),
        "Answered_At__c": at,
        # The manager's own opinion has no respondent.
        "Respondent__c": account.owner.user_id if respondent < 0 else world.events.users[respondent],
        "CreatedDate": at,
        "LastModifiedDate": at,
        "SystemModstamp": at,
    }
