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

#[test]
fn addresses_are_kept_as_the_preset_says_or_the_group_or_the_tenant() {
    let group = TenantGroup::new("health", ["clinic"]).keep_addresses(Keep::Days(60));
    let with = |preset| RetentionPolicy::preset(preset).group(group.clone()).unwrap();
    let policy = with(Preset::Default);
    for class in ["activity", "authentication", "consent", "system"] {
        assert_eq!(policy.keeps_addresses(class), Some(Keep::Days(30)), "{class}");
    }
    assert_eq!(policy.keeps_addresses("activity.health"), Some(Keep::Days(60)));
    assert_eq!(policy.keeps_addresses("somebody's own"), None);
    assert_eq!(with(Preset::Pci).keeps_addresses("activity"), Some(Keep::Forever));
    assert_eq!(with(Preset::Hipaa).keeps_addresses("activity.health"), Some(Keep::Days(60)));
    let never = policy.clone().keep_addresses(Keep::Forever).unwrap();
    assert_eq!(never.keeps_addresses("activity"), Some(Keep::Forever));
    assert!(RetentionPolicy::default().keep_addresses(Keep::Days(0)).is_err());
    let wrong = TenantGroup::new("a", ["t"]).keep_addresses(Keep::Days(0));
    assert!(RetentionPolicy::default().group(wrong).is_err());

    // What was set for one tenant, and as it is kept in the log.
    let own = policy.tenant("clinic", &serde_json::json!({ "addresses": 7 })).unwrap();
    let mut record = Record::default();
    record.tenant_id.set("clinic");
    let class = own.class_of(&record).into_owned();
    assert_eq!(own.keeps_addresses(&class), Some(Keep::Days(7)));
    assert_eq!(own.keeps_addresses("activity.health"), Some(Keep::Days(60)));
    assert_eq!(own.to_json_of("clinic")["addresses"], "7d");
    let back = own.tenant("clinic", &serde_json::Value::Null).unwrap();
    assert_eq!(back.keeps_addresses(&class), Some(Keep::Days(60)), "as its group");
}

#[test]
fn a_policy_with_addresses_and_a_limit_reads_as_it_is_shown() {
    let group = TenantGroup::new("health", ["clinic"]).keep_addresses(Keep::Days(60));
    let limit: SizeLimit = "20GB".parse().unwrap();
    let policy = RetentionPolicy::preset(Preset::Pci).keep_addresses(Keep::Days(9)).unwrap();
    let policy = policy.group(group).unwrap().max_size(Some(limit.force(true)));
    let shown = policy.to_json();
    assert_eq!(RetentionPolicy::from_json(&shown), Ok(policy), "{shown}");
    assert!(RetentionPolicy::default().to_json().get("max_size").is_none());
}
