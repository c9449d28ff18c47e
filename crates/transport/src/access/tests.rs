//! Which rules allow what.

use peerstream_types::{ClusterName, NodeId};

use super::*;

fn peer(node: &str) -> PeerIdentity {
    PeerIdentity { cluster: ClusterName::new("demo").unwrap(), node: NodeId::new(node).unwrap() }
}

fn dataset(name: &str) -> DatasetName {
    DatasetName::new(name).unwrap()
}

fn rule(who: &str, datasets: &str, verbs: &[Verb]) -> Rule {
    Rule {
        who: who.parse().unwrap(),
        datasets: datasets.parse().unwrap(),
        verbs: verbs.iter().copied().collect(),
    }
}

#[derive(Debug, Deserialize)]
struct Config {
    access: AccessRules,
}

/// F-59: closed by default.
#[test]
fn without_rules_everything_is_denied() {
    for verb in Verb::ALL {
        let denied = AccessRules::default().permits(&peer("a"), &dataset("metrics"), verb).unwrap_err();
        assert_eq!((denied.peer, denied.dataset, denied.verb), (peer("a"), dataset("metrics"), verb));
    }
    assert!(SharedAccess::default().permits(&peer("a"), &dataset("metrics"), Verb::List).is_err());
}

/// F-59: a rule gives what it says and nothing beside it.
#[test]
fn a_rule_allows_its_peers_datasets_and_verbs_only() {
    let rules = AccessRules::new(vec![rule("store-*", "metrics", &[Verb::List, Verb::Fetch])]).unwrap();
    let ask = |node, name, verb| rules.permits(&peer(node), &dataset(name), verb).is_ok();
    assert!(ask("store-1", "metrics", Verb::Fetch));
    assert!(!ask("ingest-1", "metrics", Verb::Fetch));
    assert!(!ask("store-1", "metrics-2", Verb::Fetch));
    assert!(!ask("store-1", "metrics", Verb::Offer));
}

#[test]
fn any_rule_that_allows_is_enough_in_any_order() {
    let mut table = vec![rule("*", "logs-*", &[Verb::Query]), rule("store-1", "*", &[Verb::Admin])];
    for _ in 0..2 {
        let rules = AccessRules::new(table.clone()).unwrap();
        assert!(rules.permits(&peer("store-1"), &dataset("logs-a"), Verb::Query).is_ok());
        assert!(rules.permits(&peer("store-1"), &dataset("logs-a"), Verb::Admin).is_ok());
        // The halves of two rules do not add up to a third.
        assert!(rules.permits(&peer("store-2"), &dataset("logs-a"), Verb::Admin).is_err());
        table.reverse();
    }
}

#[test]
fn presets_give_what_their_names_say() {
    let may = |rules: &AccessRules| -> Vec<Verb> {
        let allowed = |verb: &Verb| rules.permits(&peer("x"), &dataset("any.thing"), *verb).is_ok();
        Verb::ALL.into_iter().filter(allowed).collect()
    };
    assert_eq!(may(&AccessRules::deny_all()), []);
    assert_eq!(may(&AccessRules::members_may_read()), [Verb::List, Verb::Fetch]);
    assert_eq!(may(&AccessRules::members_may_do_everything()), Verb::ALL);
}

#[test]
fn a_table_is_bounded_and_has_no_empty_rules() {
    let one = rule("*", "*", &[Verb::List]);
    assert!(AccessRules::new(vec![one.clone(); RULES_MAX]).is_ok());
    let error = AccessRules::new(vec![one.clone(); RULES_MAX + 1]).unwrap_err();
    assert_eq!(error, RulesError::TooMany(RULES_MAX + 1));
    let error = AccessRules::new(vec![one, rule("*", "*", &[])]).unwrap_err();
    assert_eq!(error, RulesError::NoVerbs(2));
}

#[test]
fn rules_are_read_from_toml() {
    let text = r#"
        [[access]]
        who = "store-*"
        datasets = "*"
        verbs = ["list", "fetch"]

        [[access]]
        who = "loader-1"
        datasets = "metrics"
        verbs = ["offer"]
    "#;
    let Config { access } = toml::from_str(text).unwrap();
    assert_eq!(access.rules().len(), 2);
    assert!(access.permits(&peer("loader-1"), &dataset("metrics"), Verb::Offer).is_ok());
    let json = serde_json::to_string(&access).unwrap();
    assert_eq!(serde_json::from_str::<AccessRules>(&json).unwrap(), access);
}

/// F-59: a slip in the configuration is an error, never a wider rule.
#[test]
fn slips_in_the_configuration_are_refused() {
    let slips = [
        r#"who = "*""#,
        r#"who = "*"
           verbs = ["fetch"]"#,
        r#"who = "*"
           datasets = "*"
           verbs = []"#,
        r#"who = "*"
           datasets = "*"
           verbs = ["read"]"#,
        r#"who = "Store-*"
           datasets = "*"
           verbs = ["fetch"]"#,
        r#"who = "*"
           dataset = "metrics"
           datasets = "*"
           verbs = ["fetch"]"#,
    ];
    for slip in slips {
        assert!(toml::from_str::<Config>(&format!("[[access]]\n{slip}")).is_err(), "{slip}");
    }
}

/// F-59: a rule that is taken away counts for the next request.
#[test]
fn changed_rules_count_at_once_for_every_holder() {
    let access = SharedAccess::new(AccessRules::members_may_read());
    let other = access.clone();
    assert!(other.permits(&peer("a"), &dataset("metrics"), Verb::Fetch).is_ok());
    let old = access.replace(AccessRules::deny_all());
    assert_eq!(*old, AccessRules::members_may_read());
    assert!(other.permits(&peer("a"), &dataset("metrics"), Verb::Fetch).is_err());
    assert_eq!(*other.current(), AccessRules::deny_all());
}
