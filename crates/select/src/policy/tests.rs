//! Facts about the levels of a node.

use peerstream_types::{DatasetName, PlanId, ShardId};

use super::*;

fn shard(text: &str) -> ShardId {
    text.parse().unwrap()
}

fn dataset(name: &str) -> LevelScope {
    LevelScope::Dataset(DatasetName::new(name).unwrap())
}

fn of_shard(text: &str) -> LevelScope {
    LevelScope::Shard(shard(text))
}

/// The level of a shard, which is also the one that is reported.
fn level(policy: &LevelPolicy, of: &str) -> Level {
    let level = policy.level(&shard(of));
    assert_eq!(policy.at(&of_shard(of)).level, level);
    level
}

fn level_of(policy: &LevelPolicy, plan: PlanId, of: &str) -> Level {
    let level = policy.level_of(plan, Operation::Bootstrap, &shard(of));
    assert_eq!(policy.at(&LevelScope::Recovery(plan, shard(of))).level, level);
    level
}

fn settings(text: &str) -> LevelSettings {
    toml::from_str(text).unwrap()
}

/// F-16: where nothing is said, it is the majority.
#[test]
fn majority_counts_where_nothing_is_said() {
    let policy = LevelPolicy::default();
    let found = policy.at(&of_shard("m@1/0"));
    let default = InForce { level: Level::Majority, scope: LevelScope::Node, source: LevelSource::Default };
    assert_eq!(found, default);
}

/// F-16: where nothing is said, a repair takes what can be had; what is said counts for it, too.
#[test]
fn a_repair_has_a_default_of_its_own() {
    let plan = PlanId::from_parts(1, 1);
    let mut policy = LevelPolicy::default();
    let level = |policy: &LevelPolicy, operation| policy.level_of(plan, operation, &shard("m@1/0"));
    for operation in Operation::ALL {
        let repairs = operation == Operation::Repair;
        let expected = if repairs { Level::UnstrictMajority } else { Level::Majority };
        assert_eq!(level(&policy, operation), expected, "{operation}");
    }
    policy.set(LevelScope::Node, Level::All).unwrap();
    assert_eq!(level(&policy, Operation::Repair), Level::All);
}

/// F-20: node, dataset, shard, recovery; each goes over the wider ones, and gives way when it is unset.
#[test]
fn the_narrowest_setting_counts() {
    let (plan, other) = (PlanId::from_parts(1, 1), PlanId::from_parts(1, 2));
    let mut policy = LevelPolicy::default();
    let steps = [
        (LevelScope::Node, Level::One, [Level::One; 4]),
        (dataset("m"), Level::All, [Level::One, Level::All, Level::All, Level::All]),
        (of_shard("m@1/7"), Level::None, [Level::One, Level::All, Level::None, Level::None]),
        (
            LevelScope::Recovery(plan, shard("m@1/7")),
            Level::UnstrictAll,
            [Level::One, Level::All, Level::None, Level::UnstrictAll],
        ),
    ];
    let seen = |policy: &LevelPolicy| {
        [
            level(policy, "other@1/7"),
            level(policy, "m@2/7"),
            level_of(policy, other, "m@1/7"),
            level_of(policy, plan, "m@1/7"),
        ]
    };
    let mut before = vec![seen(&policy)];
    for (scope, level, expected) in &steps {
        assert_eq!(policy.set(scope.clone(), *level), Ok(None));
        assert_eq!(seen(&policy), *expected, "{scope}");
        before.push(*expected);
    }
    for (scope, level, _) in steps.iter().rev() {
        assert_eq!(policy.unset(scope), Some(*level));
        before.pop();
        assert_eq!(seen(&policy), *before.last().unwrap(), "without that of {scope}");
    }
    assert_eq!(policy.unset(&LevelScope::Node), None);
}

/// F-20: what was set goes over what is configured at the same width, and not over what is narrower.
#[test]
fn what_was_set_goes_over_the_config_until_it_is_unset() {
    let configured = settings("level = \"one\"\n[datasets]\nm = \"all\"");
    let mut policy = LevelPolicy::new(configured, LevelSettings::default());
    assert_eq!(policy.set(LevelScope::Node, Level::None), Ok(None));
    assert_eq!(level(&policy, "other@1/0"), Level::None);
    assert_eq!(level(&policy, "m@1/0"), Level::All, "the config is narrower");
    assert_eq!(policy.at(&dataset("m")).source, LevelSource::Configured);
    policy.set(dataset("m"), Level::One).unwrap();
    assert_eq!(policy.set(dataset("m"), Level::UnstrictMajority), Ok(Some(Level::One)));
    assert_eq!(policy.at(&of_shard("m@1/0")).source, LevelSource::Set);
    policy.configure(settings("[datasets]\nm = \"none\""));
    assert_eq!(level(&policy, "m@1/0"), Level::UnstrictMajority, "a new config takes nothing back");
    policy.unset(&dataset("m"));
    assert_eq!(level(&policy, "m@1/0"), Level::None);
}

#[test]
fn a_recovery_that_has_ended_leaves_nothing() {
    let plan = PlanId::from_parts(1, 1);
    let mut policy = LevelPolicy::default();
    policy.set(LevelScope::Recovery(plan, shard("m@1/0")), Level::One).unwrap();
    assert_eq!(policy.settings(), &LevelSettings::default(), "nothing of it is kept");
    assert!(policy.forget(plan) && !policy.forget(plan));
    assert_eq!(policy, LevelPolicy::default());
}

#[test]
fn there_are_only_so_many_settings() {
    let mut policy = LevelPolicy::default();
    let one = |index| LevelScope::Shard(ShardId::new(DatasetName::new("m").unwrap(), 1, index));
    for index in 0..SETTINGS_MAX as u32 {
        policy.set(one(index), Level::One).unwrap();
    }
    let too_many = Err(LevelSettingsError::TooMany(SETTINGS_MAX));
    assert_eq!(policy.set(one(SETTINGS_MAX as u32), Level::One), too_many);
    assert_eq!(policy.set(one(0), Level::All), Ok(Some(Level::One)), "one that is there may change");
    let plan = PlanId::from_parts(1, 1);
    let recovery = |index| LevelScope::Recovery(plan, ShardId::new(DatasetName::new("m").unwrap(), 1, index));
    for index in 0..RECOVERIES_MAX as u32 {
        policy.set(recovery(index), Level::One).unwrap();
    }
    let too_many = Err(LevelSettingsError::TooMany(RECOVERIES_MAX));
    assert_eq!(policy.set(recovery(RECOVERIES_MAX as u32), Level::One), too_many);
}

#[test]
fn settings_read_back_what_they_write() {
    let text = "level = \"unstrict_all\"\n\n[datasets]\nm = \"all\"\n\n[shards]\n\"m@1/7\" = \"one\"\n";
    let read = settings(text);
    assert_eq!(toml::to_string(&read).unwrap(), text);
    let scopes: Vec<String> = read.iter().map(|(scope, level)| format!("{scope}: {level}")).collect();
    assert_eq!(scopes, ["the node: unstrict_all", "dataset m: all", "shard m@1/7: one"]);
    assert_eq!(settings(""), LevelSettings::default());
}

/// G-26, F-15: a name that is none is refused where it is read, and the six are listed.
#[test]
fn a_level_that_is_none_is_refused_with_those_that_are() {
    for text in ["level = \"quorum\"", "[datasets]\nm = \"quorum\"", "[shards]\n\"m@1/0\" = \"quorum\""] {
        let said = toml::from_str::<LevelSettings>(text).unwrap_err().to_string();
        assert!(said.contains("\"quorum\" is no consistency level"), "{said}");
        assert!(Level::ALL.iter().all(|level| said.contains(level.name())), "{said}");
    }
    for text in ["levels = \"one\"", "[shards]\nm = \"one\"", "[datasets]\n\"../m\" = \"one\""] {
        assert!(toml::from_str::<LevelSettings>(text).is_err(), "{text}");
    }
}
