"""Answers that an organisation keeps in a custom object of its own: recommendation, and its managers' pulse. Pure."""

from collections.abc import Mapping

from connectors.account_facts import CSAT_ANSWERED, checked
from connectors.contract import Mapped, MappedEvent, RawObject, State
from connectors.fields import account_identity, decimal_value, full_id, iso_instant, required, text
from connectors.promises import is_new
from connectors.salesforce.mapping import OVERLAP
from vitals.errors import BadRecordError

SURVEY_FIELDS = ("Account__c", "Type__c", "Score__c", "Answered_At__c")
SURVEY_OPTIONAL = ("Survey__c", "Respondent__c")

_KINDS: Mapping[str, str] = {
    "nps": "crm.nps_answered",
    "csat": CSAT_ANSWERED,
    "pulse": "crm.pulse_recorded",
}


def map_answer(raw: RawObject, state: State) -> Mapped:
    """`crm.nps_answered` or `crm.pulse_recorded`, by `Type__c`, at the time of the answer; what is corrected later is
    no second answer.

    Answers to support's surveys (`CSAT`) are the help desk's to tell.

    Raises:
        BadRecordError: a field is missing or malformed, the type is another, or the score outside its scale.
    """
    record = raw.body
    answer_id = full_id(str(required(record, "Id")))
    modified_at = iso_instant(required(record, "SystemModstamp"), "SystemModstamp")
    kind = _KINDS.get(str(required(record, "Type__c")).lower())
    if kind is None:
        raise BadRecordError(f"Type__c is none of NPS, CSAT and Pulse: {record['Type__c']!r}.")
    answered_at = iso_instant(required(record, "Answered_At__c"), "Answered_At__c")
    untold = is_new(answered_at, modified_at, state, OVERLAP) or is_new(
        iso_instant(required(record, "CreatedDate"), "CreatedDate"), modified_at, state, OVERLAP
    )
    if kind == CSAT_ANSWERED or record.get("IsDeleted") or not untold:
        return Mapped()
    account, survey = text(record.get("Account__c")), text(record.get("Survey__c"))
    event = MappedEvent(
        kind=kind,
        object_type=raw.object_type,
        source_id=answer_id,
        event_time=answered_at,
        account_ref=account_identity(full_id(account)) if account else None,
        user=text(record.get("Respondent__c")),
        value=decimal_value(required(record, "Score__c"), "Score__c"),
        properties={"survey": survey} if survey and kind == "crm.nps_answered" else {},
    )
    return Mapped(events=(checked(event),))
