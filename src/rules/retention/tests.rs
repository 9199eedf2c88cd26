use super::*;
use crate::time::Timestamp;

#[test]
fn each_category_has_the_time_of_its_preset() {
    let keeps = |preset, class: &str| RetentionPolicy::preset(preset).keeps(class);
    for (class, days) in [
        ("authentication", [90, 365, 2_196]),
        ("activity", [365, 365, 2_196]),
        ("administration", [365, 365, 2_196]),
    ] {
        for (preset, days) in [Preset::Default, Preset::Pci, Preset::Hipaa].into_iter().zip(days) {
            assert_eq!(keeps(preset, class), Some(Keep::Days(days)), "{class} {preset:?}");
        }
    }
    for class in ["consent", "system"] {
        assert_eq!(keeps(Preset::Default, class), Some(Keep::Forever));
    }
}

#[test]
fn a_tenant_of_a_group_has_classes_of_its_own_and_the_log_itself_has_not() {
    let group = TenantGroup::new("health", ["clinic"]).keep(Category::Activity, Keep::Days(2_000));
    let policy = RetentionPolicy::default().group(group).unwrap();
    let class = |category, tenant: &str| {
        let mut record = Record { category, ..Record::default() };
        record.tenant_id.set(tenant);
        policy.class_of(&record).into_owned()
    };
    assert_eq!(class(Category::Activity, "clinic"), "activity.health");
    assert_eq!(class(Category::Activity, "shop"), "activity");
    assert_eq!(class(Category::Activity, ""), "activity");
    assert_eq!(class(Category::System, "clinic"), "system");
    assert_eq!(policy.keeps("activity.health"), Some(Keep::Days(2_000)));
    assert_eq!(policy.keeps("authentication.health"), Some(Keep::Days(90)));
}

#[test]
fn a_class_that_the_policy_does_not_know_is_kept() {
    let policy = RetentionPolicy::default();
    for class in ["", "short", "activity.gone", "Activity", "activity.", ".activity"] {
        assert_eq!(policy.keeps(class), None, "{class}");
    }
}

#[test]
fn a_month_ends_when_all_of_it_is_old_enough() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let month = at("2026-01-15T00:00:00Z").month();
    assert_eq!(Keep::Days(90).ends(month), Some(at("2026-05-02T00:00:00Z")));
    assert_eq!(Keep::Forever.ends(month), None);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let policy = RetentionPolicy::default;
    assert!(policy().keep(Category::System, Keep::Days(9)).is_err());
    assert!(policy().keep(Category::Activity, Keep::Days(0)).is_err());
    assert!(policy().keep(Category::Activity, Keep::Days(36_601)).is_err());
    let with = |group| policy().group(TenantGroup::new("a", ["t1"])).unwrap().group(group);
    assert!(with(TenantGroup::new("b", ["t2"])).is_ok());
    for group in [
        TenantGroup::new("a", ["t2"]),
        TenantGroup::new("b", ["t1"]),
        TenantGroup::new("b", ["t2", "t2"]),
        TenantGroup::new("b", Vec::<String>::new()),
        TenantGroup::new("B c", ["t2"]),
        TenantGroup::new("", ["t2"]),
        TenantGroup::new("b", ["t2"]).keep(Category::System, Keep::Days(3)),
    ] {
        assert!(with(group.clone()).is_err(), "{group:?}");
    }
}

#[test]
fn times_read_as_they_are_shown() {
    for (text, keep) in
        [("90d", Keep::Days(90)), ("6y", Keep::Days(2_196)), ("never", Keep::Forever)]
    {
        assert_eq!(text.parse(), Ok(keep));
        assert_eq!(keep.to_string().parse(), Ok(keep));
    }
    for wrong in ["", "d", "90", "-1d", "1.5y", "9999999999d", "99999999y", "forever", "Never"] {
        assert!(wrong.parse::<Keep>().is_err(), "{wrong}");
    }
}
