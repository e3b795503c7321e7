"""The report of an examination on the bucket's settings and on listings (protocol 8.1 and 8.2)."""

from __future__ import annotations

import pytest
from attrs import frozen

from cloudq.application.doctor.examine import examine
from cloudq.application.doctor.examine_settings import ExamineSettings
from cloudq.domain.finding import Finding, Level
from cloudq.domain.stores.bucket_settings import BucketSettings, LifecycleRule, threatened
from tests.parts.late_list import LateListStore
from tests.parts.world import World

ABORTS = LifecycleRule("uploads", aborts_uploads="after 7 days")


@frozen
class Known:
    found: BucketSettings

    def settings(self) -> BucketSettings:
        return self.found


def findings(settings: BucketSettings, prefix: str = "") -> list[Finding]:
    return list(examine(ExamineSettings(Known(settings), prefix).checks()))


def warnings(settings: BucketSettings, prefix: str = "") -> list[str]:
    return [each.what for each in findings(settings, prefix) if each.level is Level.WARNING]


@pytest.mark.parametrize(
    ("rule_prefix", "store_prefix", "places"),
    [
        ("", "", ("jobs/", "queue/", "systems/", "history/")),
        ("jobs/", "", ("jobs/",)),
        ("jobs/3", "", ("jobs/",)),
        ("q", "", ("queue/",)),
        ("logs/", "", ()),
        ("jobs/", "team", ()),
        ("team/", "team", ("jobs/", "queue/", "systems/", "history/")),
        ("team/queue/", "team/", ("queue/",)),
        ("tea", "team", ("jobs/", "queue/", "systems/", "history/")),
        ("teams/", "team", ()),
    ],
)
def test_a_rule_threatens_what_its_prefix_may_meet(
    rule_prefix: str, store_prefix: str, places: tuple[str, ...]
) -> None:
    assert threatened(LifecycleRule("r", rule_prefix), store_prefix) == places


def test_a_rule_that_expires_jobs_is_named_with_what_it_is_for() -> None:
    rule = LifecycleRule("tidy up", "jobs/", expires="after 30 days")

    [told, aborts] = warnings(BucketSettings(rules=(rule,)))

    assert told.startswith('lifecycle rule "tidy up" deletes objects below jobs/ after 30 days')
    assert aborts == "no lifecycle rule aborts unfinished uploads"


def test_a_rule_for_other_keys_is_no_trouble() -> None:
    rule = LifecycleRule("tidy up", "scratch/", expires="after 1 days")

    assert warnings(BucketSettings(rules=(rule, ABORTS))) == []


def test_a_rule_that_archives_jobs_is_told() -> None:
    rule = LifecycleRule("archive", "", archives="GLACIER", has_other_filters=True)

    [told] = warnings(BucketSettings(rules=(rule, ABORTS)))

    assert "moves some objects below jobs/, queue/, systems/, history/ to GLACIER" in told


def test_the_rule_to_set_for_unfinished_uploads_is_named() -> None:
    [well, _] = findings(BucketSettings())

    assert (well.level, well.what) == (Level.OK, "no lifecycle rule lets objects of jobs expire")
    assert "AbortIncompleteMultipartUpload" in well.to_do
    assert findings(BucketSettings(rules=(ABORTS,)))[0].to_do == ""


def test_what_could_not_be_read_is_never_well() -> None:
    unread = dict.fromkeys(("lifecycle rules", "Object Lock", "versioning", "encryption"), "AccessDenied")

    told = findings(BucketSettings(unread=unread))

    assert {each.level for each in told} == {Level.WARNING}
    assert [each.what for each in told] == [f"{what} could not be read: AccessDenied" for what in unread]


def test_object_lock_and_old_versions_are_told() -> None:
    assert (
        "Object Lock is on (COMPLIANCE, 30 days)"
        in warnings(BucketSettings(object_lock="COMPLIANCE, 30 days", is_versioned=True))[0]
    )
    [told] = warnings(BucketSettings(is_versioned=True))
    assert told.startswith("the bucket keeps old versions")
    expired = LifecycleRule("old", expires_old_versions=True)
    assert warnings(BucketSettings(is_versioned=True, rules=(expired,))) == []


@pytest.mark.parametrize(
    ("lag_s", "level", "words"),
    [
        (0.0, Level.OK, "a LIST shows writes and deletions immediately"),
        (20.0, Level.WARNING, "a LIST shows a new key after 20 s and a deleted one for 20 s"),
        (90.0, Level.PROBLEM, "a new key was not listed after 60 s"),
    ],
)
def test_the_lag_of_listings_is_measured_and_told(
    world: World, lag_s: float, level: Level, words: str
) -> None:
    world.store = LateListStore(world.clock, lag_s)

    [told] = [each for each in examine(world.client().doctor(False, False)) if each.check == "listing"]

    assert told.level is level
    assert told.what.startswith(words)
